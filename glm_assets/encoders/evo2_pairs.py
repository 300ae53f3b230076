"""The paired forward of Evo2: what a variant's window shares with its reference window is computed once.

The model is causal, so the two have the same activations before the first token that differs. Layers that work on
one token at a time see every distinct token once, side by side in one long row; the sequence mixers see whole
windows, a variant's being its reference's prefix followed by its own suffix. All modules are vtx's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

SHARED_PREFIX = "shared_prefix"
TWO_FORWARDS = "two_forwards"

# A block or its MLP: the pooled vector follows from what is pooled before the MLP's last, bias-free projection.
_PAIRED_LAYER = re.compile(r"blocks\.\d+(\.mlp(\.l3)?)?")


def pair_method(layer: str, pooling: str, *, cast_all_bf16: bool, fp8: bool) -> str:
    """How pairs are computed at a layer.

    Args:
        layer: Path of the hooked submodule.
        pooling: Name of the pooling.
        cast_all_bf16: Whether the original pipeline's casts are reproduced, which needs its two forwards too.
        fp8: Whether projections run in FP8, whose scale depends on what shares a batch.

    Returns:
        `SHARED_PREFIX` where the paired forward gives the vector, else `TWO_FORWARDS`.
    """
    exact = pooling == "mean" and not cast_all_bf16 and not fp8
    if exact and _PAIRED_LAYER.fullmatch(layer):
        return SHARED_PREFIX
    return TWO_FORWARDS


def first_difference(ref: NDArray[np.uint8], var: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Index of the first base that differs, (n,); the windows' length where none does.

    Args:
        ref: (n, L) reference windows.
        var: (n, L) variant windows.
    """
    differs = ref != var
    return np.where(differs.any(axis=1), differs.argmax(axis=1), ref.shape[1]).astype(np.int64)


def next_batch(reference: NDArray[np.integer], windows: int) -> int:
    """How many of the next pairs fit into one batch.

    Pairs that share a reference window stay together, unless they alone are more than a batch: then the window is
    computed once in each of their batches.

    Args:
        reference: (n,) at least one; which reference window each pair has, equal ones side by side.
        windows: References and variants that a batch may hold; one pair is taken even if it is less than two.
    """
    opens = np.diff(reference, prepend=-1) != 0
    count = max(1, int(np.searchsorted(np.cumsum(1 + opens), windows, side="right")))
    if count < len(reference) and not opens[count]:
        return int(np.flatnonzero(opens[:count])[-1]) or count
    return count


@dataclass(frozen=True)
class PairBatch:
    """R different reference windows and V variants of them, each distinct token of which is computed once.

    Attributes:
        ref: (R, L) ASCII.
        var: (V, L) ASCII, equal to its reference before `first`.
        reference: (V,) row of each variant's reference in `ref`.
        first: (V,) index of the first token that differs; L where none does.
    """

    ref: NDArray[np.uint8]
    var: NDArray[np.uint8]
    reference: NDArray[np.int64]
    first: NDArray[np.int64]

    @classmethod
    def of(cls, ref: NDArray[np.uint8], var: NDArray[np.uint8]) -> PairBatch:
        """Lay out n pairs of windows, (n, L) both; equal reference windows that are side by side become one."""
        opens = np.append(True, (ref[1:] != ref[:-1]).any(axis=1))
        return cls(ref[opens], var, np.cumsum(opens) - 1, first_difference(ref, var))

    @property
    def suffix_lengths(self) -> list[int]:
        """Tokens of each variant from its first difference on."""
        return (self.ref.shape[1] - self.first).tolist()

    @property
    def tokens(self) -> int:
        """Tokens that are computed: whole references and the variants' suffixes."""
        return self.ref.size + sum(self.suffix_lengths)


@dataclass(frozen=True)
class _Layout:
    """Places of a batch's tokens in the long row of distinct ones, and back.

    Attributes:
        source: (R + V, L) place in the row of each window's tokens; a variant's prefix points at its reference's.
        own: (N,) place of the row's tokens in the windows, laid end to end.
    """

    source: Tensor
    own: Tensor

    @classmethod
    def of(cls, batch: PairBatch, device: Any) -> _Layout:
        import torch

        size, length = batch.ref.size, batch.ref.shape[1]
        shared = np.arange(size).reshape(-1, length)
        is_own = np.arange(length) >= batch.first[:, None]
        source = shared[batch.reference]
        source[is_own] = size + np.arange(np.count_nonzero(is_own))
        own = np.append(np.arange(size), size + np.flatnonzero(is_own))
        places = (np.concatenate([shared, source]), own)
        return cls(*(torch.from_numpy(place).to(device) for place in places))

    def to(self, device: Any) -> _Layout:
        """The same on another device; a model may be spread over several."""
        return _Layout(self.source.to(device), self.own.to(device))

    def windows(self, row: Tensor) -> Tensor:
        """Whole windows (R + V, L, d) of a row (1, N, d)."""
        return row[0][self.source]

    def row(self, windows: Tensor) -> Tensor:
        """The row (1, N, d) of whole windows (R + V, L, d)."""
        return windows.flatten(0, 1)[self.own].unsqueeze(0)


def embed_pair_batch(model: Any, layer: str, batch: PairBatch) -> tuple[Tensor, Tensor]:
    """Mean over positions of a layer's output, and what the variants change of it, both in float32.

    Call it in inference mode.

    Args:
        model: A vtx `StripedHyena` whose last block is the layer's.
        layer: A layer for which `pair_method` says `SHARED_PREFIX`.
        batch: The windows.

    Returns:
        (R, d) reference vectors and (V, d) differences variant - reference. A difference is pooled as such, so that
        the prefix adds exactly nothing to it.
    """
    import torch

    device = model.embedding_layer.weight.device
    layout = _Layout.of(batch, device)
    tokens = torch.from_numpy(np.concatenate([batch.ref, batch.var]).astype(np.int64)).to(device)
    row = model.embedding_layer(tokens.flatten()[layout.own]).unsqueeze(0)
    for index, block in enumerate(model.blocks):
        row = model.cross_device_transfer(row, index)
        layout = layout.to(row.device)
        row = _mix(block, row, layout)
        if index < len(model.blocks) - 1:
            row = block.mlp(block.post_norm(row)) + row
    return _pool(model.blocks[-1], row, batch, with_residual=layer.count(".") == 1)


def _mix(block: Any, row: Tensor, layout: _Layout) -> Tensor:
    """Add what the block's sequence mixer puts out; its projections are computed for distinct tokens only."""
    if hasattr(block, "inner_mha_cls"):
        attention = block.inner_mha_cls
        qkv = layout.windows(attention.Wqkv(block.pre_norm(row)))
        qkv = qkv.unflatten(-1, (3, attention.num_heads, attention.head_dim))
        mixed = attention.inner_attn(attention.rotary_emb(qkv)).flatten(2)
        return attention.out_proj(layout.row(mixed)) + row
    mixed, _ = block.filter(layout.windows(block.proj_norm(row)))
    return block.out_filter_dense(layout.row(mixed)) + row


def _pool(block: Any, row: Tensor, batch: PairBatch, *, with_residual: bool) -> tuple[Tensor, Tensor]:
    """Pool the input of the MLP's last projection and project the means: the projection is linear, without bias."""
    from torch.nn.functional import linear

    mlp, hidden = block.mlp, block.post_norm(row)
    weight = mlp.l3.weight.float()
    vectors = [linear(pooled, weight) for pooled in _pool_row(mlp.act(mlp.l1(hidden)) * mlp.l2(hidden), batch)]
    if with_residual:
        vectors = [vector + pooled for vector, pooled in zip(vectors, _pool_row(row, batch), strict=True)]
    return vectors[0], vectors[1]


def _pool_row(row: Tensor, batch: PairBatch) -> tuple[Tensor, Tensor]:
    """Means (R, d) of the reference windows and (V, d) of the variants' differences, in float32."""
    import torch

    count, length = batch.ref.shape
    ref, suffixes = row[0].split([count * length, len(row[0]) - count * length])
    ref = ref.unflatten(0, (count, length))
    pairs = zip(suffixes.split(batch.suffix_lengths), batch.reference, batch.first, strict=True)
    changes = [(suffix.float() - ref[of, first:].float()).sum(dim=0) for suffix, of, first in pairs]
    return ref.mean(dim=1, dtype=torch.float32), torch.stack(changes) / length
