"""Poolings: how the activations at the positions of a window become one vector, and of which positions.

A pooling is named in a profile and is part of an encoder's fingerprint. What it is lives here, without torch; how it
is computed lives in `encoders.reduction`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import EncoderError

Kind = Literal[
    "mean", "mean_bf16", "downstream", "centre", "covariance", "log_likelihood", "positions", "last", "max"
]

_NAME = re.compile(r"([a-z_0-9]+?)(?::([1-9]\d*))?")
_EXPECTED = (
    "mean, mean_bf16, downstream, downstream:POSITIONS, centre:POSITIONS, covariance:WIDTH, log_likelihood or "
    "positions:COUNT; last or max of tokens"
)
_MAX_COVARIANCE = 128


@dataclass(frozen=True)
class Pooling:
    """One pooling.

    `mean` takes every position; `downstream` those from the variant on, or `downstream:m` the first m of them;
    `centre:w` w positions around the variant's first base. `mean_bf16` is the original pipeline's mean (GitHub
    Shim-Min-Kyoung/Dacon-2-Medical-AI-MAI-): sum, length and quotient each rounded to bfloat16.

    `covariance:k` projects each position on k fixed directions and takes the second moments about zero over the
    positions from the variant on, the idea of the best published probe (EVEE, bioRxiv 10.64898/2026.04.10.717844).
    Of a reference window these are the moments of its own activations; a variant's difference is made of the
    moments of the per-position differences, so it is zero exactly where the variant changes nothing.

    `log_likelihood` is one number, of a whole model and no inner layer: the sum over a window's bases of the natural
    logarithm of each one's probability, given those before it. The first base has none and adds nothing.

    `positions:n` pools nothing: the activations at the first n positions themselves, one position after the other in
    one vector, for networks that read a sequence base by base. A shorter sequence ends in zeros.

    `last` and `max` are of language models whose tokens are not single bases: the activations at the last token, and
    the largest of each channel over all tokens.

    Attributes:
        kind: Which of these.
        width: Positions, or directions of a covariance; None where the name has no number.
    """

    kind: Kind
    width: int | None = None

    @classmethod
    def parse(cls, name: str) -> Pooling:
        """The pooling of that name.

        Raises:
            EncoderError: There is none.
        """
        match = _NAME.fullmatch(name)
        kind, width = (match[1], int(match[2]) if match[2] else None) if match else (name, None)
        takes_width = {"downstream": None, "centre": True, "covariance": True, "positions": True}
        if kind not in get_args(Kind) or takes_width.get(kind, False) not in (None, width is not None):
            raise EncoderError(f"unknown pooling {name!r}", expected=_EXPECTED, fix="set encoder.pooling")
        if kind == "covariance" and cast("int", width) > _MAX_COVARIANCE:
            raise EncoderError(f"pooling {name!r} is too wide", expected=f"at most covariance:{_MAX_COVARIANCE}")
        return cls(cast("Kind", kind), width)

    @property
    def name(self) -> str:
        """The name that `parse` reads."""
        return self.kind if self.width is None else f"{self.kind}:{self.width}"

    @property
    def is_of_tokens(self) -> bool:
        """Whether only transformers models offer it."""
        return self.kind in ("last", "max")

    @property
    def needs_variant(self) -> bool:
        """Whether only a pair of windows can be pooled so: a single sequence has no variant."""
        return self.kind in ("downstream", "centre")

    @property
    def depends_on_offset(self) -> bool:
        """Whether a reference window's vector depends on where in it the variant lies."""
        return self.kind in ("downstream", "centre", "covariance")

    @property
    def positions_from_variant(self) -> int | None:
        """How many positions from the variant's first base on are taken; None for all up to the window's end."""
        if self.width is None or self.kind not in ("downstream", "centre"):
            return None
        return self.width if self.kind == "downstream" else self.width - self.width // 2

    @property
    def positions_before_variant(self) -> int:
        """How many positions before the variant's first base are taken, where a number of them is asked for."""
        return self.width // 2 if self.kind == "centre" and self.width else 0

    def dimension(self, width: int) -> int:
        """Length of the vectors from a layer that puts out `width` numbers at each position."""
        if self.kind == "log_likelihood":
            return 1
        if self.kind == "positions":
            return width * cast("int", self.width)
        if self.kind != "covariance" or self.width is None:
            return width
        return self.width * (self.width + 1) // 2

    def span(self, offset: NDArray[np.integer], length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The pooled positions of windows.

        Args:
            offset: (n,) 0-based index of the variant in its window.
            length: Bases in the windows.

        Returns:
            First and end (exclusive) position, (n,) each; never an empty span for an offset inside the window.
        """
        offset = offset.astype(np.int64)
        first = np.zeros_like(offset) if not self.depends_on_offset else offset
        if self.kind == "centre":
            first = np.maximum(0, offset - cast("int", self.width) // 2)
        end = np.full_like(offset, min(length, cast("int", self.width)) if self.kind == "positions" else length)
        if (reach := self.positions_from_variant) is not None:
            end = np.minimum(length, offset + reach)
        return first, end
