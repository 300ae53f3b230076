"""Evo2 over the first positions of variants only, on top of one forward of each reference window.

Where a pooling takes m positions from the variant on, the model being causal needs nothing after them, and before
them a variant's window is its reference's. So K variants of one window cost that window once and K times m tokens.
Each variant's own tokens pass the layers that work on one token at a time; the mixers add what came before from the
reference: the last inputs of the short filters, the keys and values of attention, and the reference's own output of
the long filters, which are linear, so that only the change has to be convolved.
"""

from __future__ import annotations

from collections.abc import Sequence
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

_FILLER = ord("N")  # tokens after the last that is pooled, which nothing before them can see
_LONG_TAPS = 128  # from here on vtx convolves by transforms, as it does the filters without end
_ATTENTION_VARIANTS = 64  # at once: each needs the keys and values of its whole reference beside it


@dataclass(frozen=True)
class _Places:
    """Where the variants' tokens stand: m from the first that differs on.

    Attributes:
        reference: (V,) row of the reference.
        start: (V,) index in the window of each variant's first token.
        count: m.
        length: L, tokens of a reference window.
    """

    reference: Tensor
    start: Tensor
    count: int
    length: int

    def positions(self, count: int) -> Tensor:
        """(V, count) indices in the window from the start on; they may lie past its end."""
        import torch

        return self.start[:, None] + torch.arange(count, device=self.start.device)

    def cut(self, ref: Tensor, back: int = 0) -> Tensor:
        """The reference's (R, L, c) values at the variants' positions, (V, back + m, c), and `back` before them.

        Zeros outside the window, which is what the filters of whole windows see there.
        """
        from torch.nn.functional import pad

        return pad(ref, (0, 0, back, self.count))[self.reference[:, None], self.positions(back + self.count)]

    def with_past(self, ref: Tensor, own: Tensor, *, count: int) -> tuple[Tensor, Tensor]:
        """References (R, count + L, c) and variants (V, count + m, c), the `count` inputs before them in front."""
        import torch
        from torch.nn.functional import pad

        return pad(ref, (0, 0, count, 0)), torch.cat((self.cut(ref, count)[:, :count], own), dim=1)

    def to(self, device: Any) -> _Places:
        """The same on another device."""
        return _Places(self.reference.to(device), self.start.to(device), self.count, self.length)


def embed_downstream_batch(
    model: Any, layers: Sequence[str], batch: PairBatch, pooling: Pooling, arithmetic: Arithmetic
) -> list[tuple[Tensor, Tensor]]:
    """Pooled outputs of some layers at the variants' positions, and what the variants change of them, in float32.

    Call it in inference mode. It holds for the configurations of Evo2: no bias of the short filter, no flipped or
    column-split projections, no fused kernels.

    Args:
        model: A vtx `StripedHyena` whose last block is the deepest layer's.
        layers: Blocks, their `mlp` or `mlp.l3`.
        batch: The windows; the batch's spans bound what is computed.
        pooling: `downstream:m`.
        arithmetic: In which types.

    Returns:
        For each layer (V, dimension) reference vectors and (V, dimension) differences variant - reference.
    """
    import torch

    device = model.embedding_layer.weight.device
    start, _, width = batch.own_tokens()
    places = _Places(
        torch.from_numpy(batch.reference).to(device), torch.from_numpy(start).to(device), width, batch.length
    )
    ref, var = (
        arithmetic.start(model.embedding_layer(torch.from_numpy(tokens.astype(np.int64)).to(device)))
        for tokens in (batch.ref, _own_tokens(batch))
    )
    found = {}
    for index, block in enumerate(model.blocks):
        ref, var = (model.cross_device_transfer(stream, index) for stream in (ref, var))
        places = places.to(ref.device)
        mix = _attend if hasattr(block, "inner_mha_cls") else _filter
        ref, var = mix(block, ref, var, places, arithmetic)
        inner = [arithmetic.gated(block, stream) for stream in (ref, var)]
        of_ref, of_var = (row_outputs(layers, index, block, *both) for both in zip(inner, (ref, var), strict=True))
        for (layer, refs, weights), (_, variants, _) in zip(of_ref, of_var, strict=True):
            found[layer] = _pool(refs, variants, batch, Reduction(pooling, weights, ref.shape[-1]))
        if index < len(model.blocks) - 1:
            ref, var = (
                arithmetic.multiply(block.mlp.l3, part) + stream
                for part, stream in zip(inner, (ref, var), strict=True)
            )
    return [found[layer] for layer in layers]


def _own_tokens(batch: PairBatch) -> NDArray[np.uint8]:
    """(V, m) tokens that variants need of their own, with filler after the last that is needed."""
    start, _, width = batch.own_tokens()
    at = start[:, None] + np.arange(width)
    rows = np.arange(len(at))[:, None]
    own = batch.var[rows, np.minimum(at, batch.length - 1)]
    return np.where(at < batch.span[1][:, None], own, np.uint8(_FILLER))


def _pool(
    refs: list[Tensor], variants: list[Tensor], batch: PairBatch, reduction: Reduction
) -> tuple[Tensor, Tensor]:
    start, needed, _ = batch.own_tokens()
    starts, lengths = start.tolist(), needed.tolist()
    vectors = reduction.pool(([part[of, span] for part in refs] for of, span in batch.pooled), batch.pooled_counts)
    changes = (
        [
            variant[row, : lengths[row]].float() - part[of, starts[row] : span.stop].float()
            for variant, part in zip(variants, refs, strict=True)
        ]
        for row, (of, span) in enumerate(batch.pooled)
    )
    return vectors, reduction.pool(changes, batch.pooled_counts)


def _attend(
    block: Any, ref: Tensor, var: Tensor, places: _Places, arithmetic: Arithmetic
) -> tuple[Tensor, Tensor]:
    """Attention: a variant's tokens see their reference's keys before the first difference and their own after it."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    mha = block.inner_mha_cls
    rotary = mha.rotary_emb
    rotary._update_cos_sin_cache(
        places.length + places.count, device=ref.device, dtype=arithmetic.result_type(mha.Wqkv)
    )

    def project(stream: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        qkv = arithmetic.multiply(mha.Wqkv, block.pre_norm(stream)).unflatten(-1, (3, mha.num_heads, mha.head_dim))
        cos, sin = rotary._cos_cached[positions], rotary._sin_cached[positions]
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))
        return _rotate(q, cos, sin), _rotate(k, cos, sin), v

    q, k, v = project(ref, torch.arange(places.length, device=ref.device)[None])
    mixed = scaled_dot_product_attention(q, k, v, is_causal=True)
    own_q, own_k, own_v = project(var, places.positions(places.count))
    causal = torch.ones(places.count, places.count, dtype=torch.bool, device=ref.device).tril()
    pieces = []
    for rows in torch.arange(len(var), device=ref.device).split(_ATTENTION_VARIANTS):
        before = torch.arange(places.length, device=ref.device) < places.start[rows, None]
        mask = torch.cat((before[:, None].expand(-1, places.count, -1), causal.expand(len(rows), -1, -1)), dim=-1)
        keys, values = (
            torch.cat((whole[places.reference[rows]], own[rows]), dim=2) for whole, own in ((k, own_k), (v, own_v))
        )
        pieces.append(scaled_dot_product_attention(own_q[rows], keys, values, attn_mask=mask[:, None]))
    own_mixed = torch.cat(pieces)
    return (
        arithmetic.multiply(mha.out_proj, mixed.transpose(1, 2).flatten(2)) + ref,
        arithmetic.multiply(mha.out_proj, own_mixed.transpose(1, 2).flatten(2)) + var,
    )


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of halves: x (b, heads, n, width), cos and sin (b, n, width / 2)."""
    import torch

    c, s = cos[:, None].float(), sin[:, None].float()
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat((first * c - second * s, first * s + second * c), dim=-1).to(x.dtype)


def _filter(
    block: Any, ref: Tensor, var: Tensor, places: _Places, arithmetic: Arithmetic
) -> tuple[Tensor, Tensor]:
    """A convolution block: short filters continue from the reference's inputs, long ones convolve the change only."""
    from vortex.model.utils import interleave

    cascade = block.filter
    projected = (arithmetic.multiply(block.projections, block.pre_norm(stream)) for stream in (ref, var))
    short = [
        interleave(_direct(z, cascade.short_filter_weight)).chunk(3, dim=1)
        for z in places.with_past(*projected, count=cascade.short_filter_length - 1)
    ]
    whole, own = ((before * value).transpose(1, 2) for _, before, value in short)
    taps = cascade.fir_inner_filter_length
    if taps and taps < _LONG_TAPS:
        weight = cascade.h.repeat_interleave(cascade.channels_per_group, 0)
        mixed = [_direct(z, weight) for z in places.with_past(whole, own, count=taps - 1)]
    else:  # both linear in their input, so that the variant's output is the reference's plus that of the change
        of_ref = _convolve(cascade, whole.transpose(1, 2))
        change = own.float() - places.cut(whole).float()
        at_variant = places.cut(of_ref.transpose(1, 2)).transpose(1, 2)
        mixed = [of_ref, at_variant + _convolve(cascade, change.transpose(1, 2))]
    ref, var = (
        arithmetic.multiply(block.out_filter_dense, (gate * y.to(gate.dtype)).transpose(1, 2)) + stream
        for (gate, _, _), y, stream in zip(short, mixed, (ref, var), strict=True)
    )
    return ref, var


def _direct(u: Tensor, weight: Tensor) -> Tensor:
    """Filter without padding: u (b, n + taps - 1, c), weight (c, 1, taps) -> (b, c, n)."""
    from torch.nn.functional import conv1d

    return conv1d(u.transpose(1, 2).float(), weight.float(), groups=weight.shape[0]).to(u.dtype)


def _convolve(cascade: Any, u: Tensor) -> Tensor:
    """Long filter and its direct term, before the output gate, in float32: (b, d, n) -> (b, d, n).

    The filter is cut to n taps: a longer one would wrap around in the transform.
    """
    from vortex.model.engine import fftconv_func

    n = u.shape[-1]
    if cascade.h is None:
        h, *_ = cascade.compute_filter(n, u.device)
    else:
        h = cascade.h.repeat_interleave(cascade.channels_per_group, 0)
    return fftconv_func(u.float(), h[..., :n].float(), cascade.D.float(), None, gelu=False)
