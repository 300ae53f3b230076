"""How pairs of windows are divided into batches and which of their tokens are computed; no torch, no model."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glm_assets.encoders.pooling import Pooling
from glm_assets.errors import EncoderError

SHARED_PREFIX = "shared_prefix"
DOWNSTREAM_ONLY = "downstream_only"
TWO_FORWARDS = "two_forwards"

LOGITS = "logits"  # the model's own output: every block, the final norm and the unembedding

# A block or its MLP: what is pooled follows from activations before the MLP's last, bias-free projection.
_PAIRED_LAYER = re.compile(r"blocks\.(0|[1-9]\d*)(\.mlp(\.l3)?)?")


def is_paired_layer(layer: str) -> bool:
    """Whether our own forward gives the layer's output: a block (with the residual), its `mlp` or `mlp.l3`."""
    return _PAIRED_LAYER.fullmatch(layer) is not None


def pair_method(layer: str, pooling: Pooling, *, cast_all_bf16: bool, fp8: bool) -> str:
    """How pairs are computed at a layer.

    Args:
        layer: Path of the hooked submodule, or `LOGITS`.
        pooling: Over which positions.
        cast_all_bf16: Whether the original pipeline's casts are reproduced, which needs its two forwards too.
        fp8: Whether projections run in FP8, whose scale depends on what shares a batch.

    Returns:
        `DOWNSTREAM_ONLY` where a bounded number of positions from the variant on is all that is wanted,
        `SHARED_PREFIX` where the paired forward gives the vector, else `TWO_FORWARDS`.
    """
    whole = pooling.kind in ("mean_bf16", "positions")
    if whole or cast_all_bf16 or fp8 or not (is_paired_layer(layer) or layer == LOGITS):
        return TWO_FORWARDS
    return DOWNSTREAM_ONLY if pooling.kind == "downstream" and pooling.width else SHARED_PREFIX


def first_difference(ref: NDArray[np.uint8], var: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Index of the first base that differs, (n,); the windows' length where none does.

    Args:
        ref: (n, L) reference windows.
        var: (n, L) variant windows.
    """
    differs = ref != var
    return np.where(differs.any(axis=1), differs.argmax(axis=1), ref.shape[1]).astype(np.int64)


def next_batch(reference: NDArray[np.integer], reference_tokens: int, variant_tokens: int, budget: int) -> int:
    """How many of the next pairs fit into one batch.

    Pairs that share a reference window stay together, unless they alone are more than a batch: then the window is
    computed once in each of their batches.

    Args:
        reference: (n,) at least one; which reference window each pair has, equal ones side by side.
        reference_tokens: Tokens that a reference window takes in memory.
        variant_tokens: Tokens that a variant takes.
        budget: Tokens that a batch may hold; one pair is taken even if it needs more.
    """
    opens = np.diff(reference, prepend=-1) != 0
    tokens = np.cumsum(variant_tokens + reference_tokens * opens)
    count = max(1, int(np.searchsorted(tokens, budget, side="right")))
    if count < len(reference) and not opens[count]:
        return int(np.flatnonzero(opens[:count])[-1]) or count
    return count


@dataclass(frozen=True)
class PairBatch:
    """R different reference windows and V variants of them, cut off where no pooled position needs more.

    Attributes:
        ref: (R, L) ASCII.
        var: (V, L) ASCII, equal to its reference before `first`.
        reference: (V,) row of each variant's reference in `ref`.
        first: (V,) index of the first token that differs; L where none does.
        span: First and end (exclusive) pooled position of each variant, (V,) both.
        window_length: Bases of a window before it was cut off.
    """

    ref: NDArray[np.uint8]
    var: NDArray[np.uint8]
    reference: NDArray[np.int64]
    first: NDArray[np.int64]
    span: tuple[NDArray[np.int64], NDArray[np.int64]]
    window_length: int

    @classmethod
    def of(
        cls, ref: NDArray[np.uint8], var: NDArray[np.uint8], offset: NDArray[np.integer], pooling: Pooling
    ) -> PairBatch:
        """Lay out n >= 1 pairs; equal reference windows that are side by side become one.

        Args:
            ref: (n, L) reference windows.
            var: (n, L) variant windows.
            offset: (n,) index of the variant's first base.
            pooling: Says which positions are wanted: the model being causal, none after the last is computed.

        Raises:
            EncoderError: A pooling around the variant is wanted and windows differ before it, or it lies outside.
        """
        length = ref.shape[1]
        opens = np.append(True, (ref[1:] != ref[:-1]).any(axis=1))
        first = first_difference(ref, var)
        if pooling.depends_on_offset and ((offset < 0) | (offset >= length) | (first < offset)).any():
            raise EncoderError(
                f"a variant's offset does not fit its windows of {length} bases",
                expected="the index of the variant's first base, before which the windows are equal",
            )
        span = pooling.span(offset, length)
        end = int(span[1].max())
        return cls(ref[opens, :end], var[:, :end], np.cumsum(opens) - 1, np.minimum(first, end), span, length)

    @property
    def length(self) -> int:
        """Tokens of a window that are computed at most."""
        return self.ref.shape[1]

    @property
    def pooled(self) -> list[tuple[int, slice]]:
        """Row of each variant's reference in `ref`, and the pooled positions."""
        first, end = (bound.tolist() for bound in self.span)
        return [(of, slice(*span)) for of, *span in zip(self.reference.tolist(), first, end, strict=True)]

    @property
    def pooled_counts(self) -> list[int]:
        """How many positions are pooled for each variant."""
        return (self.span[1] - self.span[0]).tolist()

    def own_tokens(self) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        """What variants need of their own where nothing after their pooled positions is computed.

        Returns:
            (V,) index of each variant's first own token, (V,) how many it needs, and the most that one needs, at
            least 1.
        """
        start = np.minimum(self.first, self.span[1])
        needed = self.span[1] - start
        return start, needed, max(1, int(needed.max(initial=0)))

    @property
    def suffix_lengths(self) -> list[int]:
        """Tokens of each variant from its first difference on."""
        return (self.length - self.first).tolist()
