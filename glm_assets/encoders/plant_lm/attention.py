"""The two attentions of the plant language model: over the tokens before, and over the rows of the memory.

Both use torch's scaled dot products, which scale by 1 / sqrt(width of a head).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from glm_assets.encoders.plant_lm.config import Local

# Up to these one masked matrix is quicker than many small ones (measured on a CPU).
SHORT_WINDOWS, SHORT_LENGTH = 4, 128


def block_attention(query: Tensor, key: Tensor, value: Tensor, window: int, dropout: float = 0.0) -> Tensor:
    """The original's: disjoint blocks of `window` tokens, each token sees those before it in its own block.

    Args:
        query: (b, h, L, c).
        key: (b, h, L, c).
        value: (b, h, L, c).
        window: w.
        dropout: Rate on the weights.

    Returns:
        (b, h, L, c).
    """
    length = query.shape[2]
    # The padding comes last, so that no token sees it.
    blocks = [_blocks(part, window) for part in (query, key, value)]
    return _unblocked(scaled_dot_product_attention(*blocks, dropout_p=dropout, is_causal=True), length)


def sliding_attention(query: Tensor, key: Tensor, value: Tensor, window: int, dropout: float = 0.0) -> Tensor:
    """Each token sees itself and the `window` - 1 tokens before it; arguments and result as of `block_attention`.

    Queries are taken in blocks of w, each with the keys of its own and the previous block, so that cost and memory
    grow with L * w and no L x L matrix is made. Short sequences have one L x L matrix, which is quicker.
    """
    length = query.shape[2]
    if length <= window:
        return scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
    if length <= max(SHORT_WINDOWS * window, SHORT_LENGTH):
        mask = _diagonal_band(length, window, query.device)
        return scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    queries, keys, values = (_blocks(part, window) for part in (query, key, value))
    mask = _band(queries.shape[2], window, query.device)
    seen = scaled_dot_product_attention(
        _heads_first(queries),
        _heads_first(_with_previous(keys)),
        _heads_first(_with_previous(values)),
        attn_mask=mask,
        dropout_p=dropout,
    )
    return _unblocked(seen.unflatten(0, query.shape[:2]), length)


def _blocks(part: Tensor, window: int) -> Tensor:
    """(b, h, L, c) to (b, h, n, w, c), zeros at the end."""
    return pad(part, (0, 0, 0, -part.shape[2] % window)).unflatten(2, (-1, window))


def _unblocked(blocks: Tensor, length: int) -> Tensor:
    """What `_blocks` did, undone."""
    return blocks.flatten(2, 3)[:, :, :length]


def _with_previous(blocks: Tensor) -> Tensor:
    """(b, h, n, w, c) to (b, h, n, 2w, c): the block before each, zeros before the first, and itself."""
    previous = pad(blocks, (0, 0, 0, 0, 1, 0))[:, :, :-1]
    return torch.cat([previous, blocks], dim=3)


def _heads_first(blocks: Tensor) -> Tensor:
    """(b, h, n, w, c) to (b * h, n, w, c): four axes let torch choose its fused kernels."""
    return blocks.flatten(0, 1)


def _diagonal_band(length: int, window: int, device: torch.device) -> Tensor:
    """(L, L), true where a query may look: w keys up to its own."""
    place = torch.arange(length, device=device)
    back = place[:, None] - place
    return (back >= 0) & (back < window)


def _band(blocks: int, window: int, device: torch.device) -> Tensor:
    """(1, n, w, 2w), true where a query may look: w keys up to its own, and none before the sequence."""
    row = torch.arange(window, device=device)[:, None]
    column = torch.arange(2 * window, device=device)[None]
    band = (column > row) & (column <= row + window)
    mask = band.expand(blocks, -1, -1).clone()
    mask[0] &= column >= window
    return mask[None]


_LOCAL = {"block": block_attention, "sliding": sliding_attention}


class LocalAttention(nn.Module):
    """Causal attention of tokens to those just before them, with four projections.

    Args:
        width: d.
        heads: h.
        window: w.
        local: `sliding` or `block`.
        dropout: Rate on the weights while training.
    """

    def __init__(self, width: int, heads: int, window: int, local: Local, dropout: float) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.heads, self.window, self.dropout = heads, window, dropout
        self._attend = _LOCAL[local]

    def forward(self, x: Tensor) -> Tensor:
        """(b, L, d) to (b, L, d)."""
        query, key, value = (_split(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        seen = self._attend(query, key, value, self.window, self.dropout if self.training else 0.0)
        return self.output(_joined(seen))


class MemoryAttention(nn.Module):
    """Attention of tokens to all rows of the bucket matrix of their species.

    Args:
        width: d.
        heads: h.
        dropout: Rate on the weights while training.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)
        self.heads, self.dropout = heads, dropout

    def forward(self, x: Tensor, matrices: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """Attend.

        Args:
            x: (b, L, d).
            matrices: Each bucket matrix (V, d) that the batch needs, with the rows (r,) of the batch that it is for;
                every row of the batch in one of them.

        Returns:
            (b, L, d).
        """
        query = self.query(x)
        if len(matrices) == 1:
            return self.output(self._attend(query, matrices[0][0]))
        seen = torch.empty_like(query)
        for matrix, rows in matrices:
            seen = seen.index_copy(0, rows, self._attend(query[rows], matrix).to(seen.dtype))
        return self.output(seen)

    def _attend(self, query: Tensor, matrix: Tensor) -> Tensor:
        """Sequences (r, L, d) that share a matrix are one long one to it: keys and values are made once."""
        key, value = self.key_value(matrix)[None].chunk(2, dim=-1)
        parts = [_split(part, self.heads) for part in (query.flatten(0, 1)[None], key, value)]
        seen = scaled_dot_product_attention(*parts, dropout_p=self.dropout if self.training else 0.0)
        return _joined(seen)[0].unflatten(0, cast("tuple[int, int]", query.shape[:2]))


def _split(x: Tensor, heads: int) -> Tensor:
    """(b, L, d) to (b, h, L, d / h)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _joined(x: Tensor) -> Tensor:
    """(b, h, L, c) to (b, L, h * c)."""
    return x.transpose(1, 2).flatten(2)
