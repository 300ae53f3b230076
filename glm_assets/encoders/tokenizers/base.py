"""What a tokenizer is, and what its ids become before a model reads them: a padded batch. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import EncoderError

Ids = NDArray[np.int32]


class Tokenizer(Protocol):
    """Cuts sequences into tokens and names each by a number.

    Sequences are given as they shall be read: `genome.normalise` brings them to upper-case DNA first.
    """

    @property
    def name(self) -> str:
        """What it is called in messages, such as `minbpe large.model`."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """Its largest id and one: so many rows an embedding needs at least."""
        ...

    @property
    def pad_id(self) -> int:
        """Id that fills up the shorter sequences of a batch."""
        ...

    @property
    def unk_id(self) -> int | None:
        """Id of what it does not know; None where there is nothing of the kind."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 hex digest of everything that its ids depend on."""
        ...

    @property
    def token_strings(self) -> tuple[str | None, ...]:
        """(vocabulary_size,) the text of each id; None where it has none of its own."""
        ...

    def encode(self, sequences: Sequence[str]) -> list[Ids]:
        """Ids of each sequence, as many as it has tokens; none of an empty one."""
        ...

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """The text that ids stand for, without special tokens."""
        ...


def vocabulary(tokenizer: Tokenizer) -> dict[str, int]:
    """The id of each token's text; the smallest where several have the same."""
    ids: dict[str, int] = {}
    for index, text in enumerate(tokenizer.token_strings):
        if text:
            ids.setdefault(text, index)
    return ids


@dataclass(frozen=True)
class PaddedBatch:
    """Sequences of ids, all made as long as the longest.

    Attributes:
        ids: (b, L) int64, padded on the right.
        mask: (b, L) bool, true where a token is and false where padding is; whatever the padding's id is.
        truncated: Sequences that lost tokens at their end.
    """

    ids: NDArray[np.int64]
    mask: NDArray[np.bool_]
    truncated: int


def pad_batch(sequences: Sequence[Sequence[int] | Ids], pad_id: int, max_length: int | None = None) -> PaddedBatch:
    """Put sequences of ids into one array.

    Args:
        sequences: b sequences of ids.
        pad_id: Fills up the shorter ones.
        max_length: Tokens that are kept of a sequence at most.

    Raises:
        EncoderError: A sequence has no token, which leaves a pooling nothing to pool.
    """
    kept = [np.asarray(row, np.int64)[:max_length] for row in sequences]
    lengths = np.array([len(row) for row in kept], np.int64)
    if lengths.size and not lengths.all():
        raise EncoderError(
            f"sequence {int(lengths.argmin())} of a batch has no token", expected="at least one each"
        )
    mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
    ids = np.full(mask.shape, pad_id, np.int64)
    if kept:
        ids[mask] = np.concatenate(kept)
    return PaddedBatch(ids, mask, sum(len(row) > len(cut) for row, cut in zip(sequences, kept, strict=True)))


@dataclass(frozen=True)
class UnknownRate:
    """How much of a text a tokenizer did not know.

    Attributes:
        unknown: Tokens that are the unknown one.
        tokens: All tokens.
    """

    unknown: int = 0
    tokens: int = 0

    def __add__(self, other: UnknownRate) -> UnknownRate:
        return UnknownRate(self.unknown + other.unknown, self.tokens + other.tokens)

    @property
    def share(self) -> float:
        """Unknown tokens among all; 0 where there are none at all."""
        return self.unknown / self.tokens if self.tokens else 0.0


def unknown_rate(tokenizer: Tokenizer, ids: Sequence[Ids]) -> UnknownRate:
    """Count the unknown tokens of encoded sequences."""
    tokens = sum(map(len, ids))
    if tokenizer.unk_id is None or not tokens:
        return UnknownRate(0, tokens)
    return UnknownRate(int((np.concatenate(ids) == tokenizer.unk_id).sum()), tokens)
