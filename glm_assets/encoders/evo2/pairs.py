"""The paired forward of Evo2: what a variant's window shares with its reference window is computed once.

The model is causal, so the two have the same activations before the first token that differs. Layers that work on
one token at a time see every distinct token once, side by side in one long row; the sequence mixers see whole
windows, a variant's being its reference's prefix followed by its own suffix. All modules are vtx's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glm_assets.encoders.evo2.blocks import Arithmetic, row_outputs
from glm_assets.encoders.evo2.plan import PairBatch
from glm_assets.encoders.pooling import Pooling
from glm_assets.encoders.reduction import Reduction

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Places of a batch's tokens in the long row of distinct ones, and back.

    Attributes:
        source: (R + V, L) place in the row of each window's tokens; a variant's prefix points at its reference's.
        own: (N,) place of the row's tokens in the windows, laid end to end.
    """

    source: Tensor
    own: Tensor

    @classmethod
    def of(cls, batch: PairBatch, device: Any) -> Layout:
        """Reference windows, and variants that share their prefix with them."""
        import torch

        size, length = batch.ref.size, batch.length
        shared = np.arange(size).reshape(-1, length)
        is_own = np.arange(length) >= batch.first[:, None]
        source = shared[batch.reference]
        source[is_own] = size + np.arange(np.count_nonzero(is_own))
        own = np.append(np.arange(size), size + np.flatnonzero(is_own))
        places = (np.concatenate([shared, source]), own)
        return cls(*(torch.from_numpy(place).to(device) for place in places))

    @classmethod
    def of_windows(cls, windows: NDArray[np.uint8], device: Any) -> Layout:
        """Windows that share nothing."""
        import torch

        own = torch.arange(windows.size, device=device)
        return cls(own.reshape(windows.shape), own)

    def to(self, device: Any) -> Layout:
        """The same on another device; a model may be spread over several."""
        return Layout(self.source.to(device), self.own.to(device))

    def windows(self, row: Tensor) -> Tensor:
        """Whole windows (R + V, L, d) of a row (1, N, d)."""
        return row[0][self.source]

    def row(self, windows: Tensor) -> Tensor:
        """The row (1, N, d) of whole windows (R + V, L, d)."""
        return windows.flatten(0, 1)[self.own].unsqueeze(0)


def embed_pair_batch(
    model: Any, layers: Sequence[str], batch: PairBatch, pooling: Pooling, arithmetic: Arithmetic
) -> list[tuple[Tensor, Tensor]]:
    """Pooled outputs of some layers, and what the variants change of them, both in float32.

    Call it in inference mode.

    Args:
        model: A vtx `StripedHyena` whose last block is the deepest layer's.
        layers: Blocks, their `mlp` or `mlp.l3`.
        batch: The windows.
        pooling: Any but `mean_bf16`.
        arithmetic: In which types.

    Returns:
        For each layer (V, dimension) reference vectors and (V, dimension) differences variant - reference. A
        difference is pooled as such, so that the prefix adds exactly nothing to it.
    """
    device = model.embedding_layer.weight.device
    layout = Layout.of(batch, device)
    tokens = np.concatenate([batch.ref, batch.var])
    found = {}
    for layer, parts, reduction in _forward(model, layers, tokens, layout, pooling, arithmetic):
        found[layer] = _pool_pairs(parts, batch, pooling, reduction)
    return [found[layer] for layer in layers]


def embed_window_batch(
    model: Any, layers: Sequence[str], windows: NDArray[np.uint8], pooling: Pooling, arithmetic: Arithmetic
) -> list[Tensor]:
    """Pooled outputs of some layers for single windows, by the same arithmetic as a pair's.

    Args:
        model: As for `embed_pair_batch`.
        layers: As for `embed_pair_batch`.
        windows: (b, L) ASCII.
        pooling: One that needs no variant.
        arithmetic: In which types.

    Returns:
        (b, dimension) float32 for each layer.
    """
    layout = Layout.of_windows(windows, model.embedding_layer.weight.device)
    found = {}
    for layer, parts, reduction in _forward(model, layers, windows, layout, pooling, arithmetic):
        split = [part[0].unflatten(0, windows.shape) for part in parts]
        found[layer] = reduction.pool(zip(*split, strict=True), [windows.shape[1]] * len(windows))
    return [found[layer] for layer in layers]


def run_blocks(
    model: Any, windows: NDArray[np.uint8], layout: Layout, arithmetic: Arithmetic
) -> Iterator[tuple[int, Any, Tensor, Tensor]]:
    """Run the blocks over the row of distinct tokens. Call it in inference mode.

    Args:
        model: A vtx `StripedHyena`.
        windows: (R + V, L) ASCII, references first.
        layout: Of these windows.
        arithmetic: In which types.

    Yields:
        For each block its number, itself, the input of its MLP's last projection (1, N, w), and the stream
        (1, N, d) to which that projection adds. The last block's projection is left to the caller.
    """
    import torch

    tokens = torch.from_numpy(windows.astype(np.int64)).to(layout.own.device)
    row = arithmetic.start(model.embedding_layer(tokens.flatten()[layout.own]).unsqueeze(0))
    for index, block in enumerate(model.blocks):
        row = model.cross_device_transfer(row, index)
        layout = layout.to(row.device)
        row = _mix(block, row, layout, arithmetic)
        inner = arithmetic.gated(block, row)
        yield index, block, inner, row
        if index < len(model.blocks) - 1:
            row = arithmetic.multiply(block.mlp.l3, inner) + row


def _forward(
    model: Any,
    layers: Sequence[str],
    windows: NDArray[np.uint8],
    layout: Layout,
    pooling: Pooling,
    arithmetic: Arithmetic,
) -> Iterator[tuple[str, list[Tensor], Reduction]]:
    """Each wanted layer's activations and how to pool them."""
    for index, block, inner, row in run_blocks(model, windows, layout, arithmetic):
        for layer, parts, weights in row_outputs(layers, index, block, inner, row):
            yield layer, parts, Reduction(pooling, weights, row.shape[-1])


def _mix(block: Any, row: Tensor, layout: Layout, arithmetic: Arithmetic) -> Tensor:
    """Add what the block's sequence mixer puts out; its projections are computed for distinct tokens only."""
    hidden = block.pre_norm(row)
    if hasattr(block, "inner_mha_cls"):
        attention = block.inner_mha_cls
        qkv = layout.windows(arithmetic.multiply(attention.Wqkv, hidden))
        qkv = attention.rotary_emb(qkv.unflatten(-1, (3, attention.num_heads, attention.head_dim)))
        mixed = _attend(qkv) if arithmetic.split else attention.inner_attn(qkv)
        return arithmetic.multiply(attention.out_proj, layout.row(mixed.flatten(2))) + row
    mixed, _ = block.filter(layout.windows(arithmetic.multiply(block.projections, hidden)))
    return arithmetic.multiply(block.out_filter_dense, layout.row(mixed)) + row


def _attend(qkv: Tensor) -> Tensor:
    """Causal attention in the type of its input (b, L, 3, heads, width): flash-attn's kernels know no float32."""
    from torch.nn.functional import scaled_dot_product_attention

    q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))
    return scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)


def _pool_pairs(
    parts: list[Tensor], batch: PairBatch, pooling: Pooling, reduction: Reduction
) -> tuple[Tensor, Tensor]:
    """Pool the row's references and the differences of its variants."""
    import torch

    count, length = batch.ref.shape
    refs = [part[0, : count * length].unflatten(0, (count, length)) for part in parts]
    suffixes = [part[0, count * length :].split(batch.suffix_lengths) for part in parts]
    pooled, counts = batch.pooled, batch.pooled_counts

    def changes(row: int, first: int) -> list[Tensor]:
        """Differences at the pooled positions from the first that differs on."""
        of, span = pooled[row]
        begin = min(first, span.stop)
        own = slice(begin - first, span.stop - first)
        return [
            suffix[row][own].float() - ref[of, begin : span.stop].float()
            for suffix, ref in zip(suffixes, refs, strict=True)
        ]

    deltas = reduction.pool((changes(row, first) for row, first in enumerate(batch.first.tolist())), counts)
    if pooling.depends_on_offset:
        return reduction.pool(([ref[of, span] for ref in refs] for of, span in pooled), counts), deltas
    vectors = reduction.pool(zip(*refs, strict=True), [length] * count)
    return vectors[torch.from_numpy(batch.reference).to(vectors.device)], deltas
