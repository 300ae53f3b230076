"""Pooling in torch: a layer's activations at some positions become one vector, in float32.

The poolings themselves are `encoders.pooling.Pooling`. A layer's output is given as a sum of activations times
weights, because both kinds of pooling here are cheaper and rounded less before the last projection than after it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from glm_assets.encoders.pooling import Pooling

if TYPE_CHECKING:
    from torch import Tensor


class Reduction:
    """Pools a layer whose output at a position is the sum over i of weights_i times activations_i.

    Args:
        pooling: Any but `mean_bf16`, `positions` and `log_likelihood`.
        weights: (d, w_i) each; None for the identity, where w_i is d.
        dimension: d, the layer's width.
    """

    def __init__(self, pooling: Pooling, weights: Sequence[Tensor | None], dimension: int) -> None:
        import torch

        self._pooling = pooling
        self._weights = [None if weight is None else weight.float() for weight in weights]
        if pooling.kind == "covariance":
            device = next((weight.device for weight in self._weights if weight is not None), None)
            directions = torch.from_numpy(fixed_directions(dimension, cast("int", pooling.width))).to(device)
            self._weights = [directions if weight is None else directions @ weight for weight in self._weights]

    def pool(self, segments: Iterable[Sequence[Tensor]], counts: Sequence[int]) -> Tensor:
        """Pool segments of positions.

        Args:
            segments: For each of s results the activations (n, w_i) at its positions; n may be zero.
            counts: (s,) positions that each result is divided by.

        Returns:
            (s, dimension) float32.
        """
        import torch

        if self._pooling.kind == "covariance":
            moments = [self._moments(parts, count) for parts, count in zip(segments, counts, strict=True)]
            return torch.stack(moments)
        sums = [[part.float().sum(dim=0) for part in parts] for parts in segments]
        means = [torch.stack(column) for column in zip(*sums, strict=True)]
        divisor = torch.tensor(counts, dtype=torch.float32, device=means[0].device)[:, None]
        return self._project([mean / divisor for mean in means])

    def _moments(self, parts: Sequence[Tensor], count: int) -> Tensor:
        """Second moments about zero; off the diagonal times root two, so that inner products are the matrices'."""
        import torch

        x = self._project([part.float() for part in parts])
        moments = x.T @ x / count
        row, column = torch.triu_indices(*moments.shape, device=moments.device)
        return moments[row, column] * torch.where(row == column, 1.0, math.sqrt(2))

    def _project(self, parts: Sequence[Tensor]) -> Tensor:
        from torch.nn.functional import linear

        projected = [
            part if weight is None else linear(part, weight.to(part.device))
            for part, weight in zip(parts, self._weights, strict=True)
        ]
        return cast("Tensor", sum(projected[1:], start=projected[0]))


def pool_outputs(pooling: Pooling, hidden: Tensor) -> Tensor:
    """Pool all positions of whole windows.

    Args:
        pooling: One that needs no variant.
        hidden: (b, L, d) activations.

    Returns:
        (b, dimension) float32.
    """
    if pooling.kind == "mean_bf16":
        total = hidden.bfloat16().sum(dim=1)
        return (total / total.new_tensor(hidden.shape[1])).float()
    if pooling.kind == "positions":
        return first_positions(hidden, cast("int", pooling.width))
    reduction = Reduction(pooling, [None], hidden.shape[-1])
    return reduction.pool([[window] for window in hidden], [hidden.shape[1]] * len(hidden))


def first_positions(hidden: Tensor, count: int) -> Tensor:
    """Activations at the first positions, one position after the other.

    Args:
        hidden: (b, L, d).
        count: How many positions; zeros stand for those that are not there.

    Returns:
        (b, count * d) float32.
    """
    from torch.nn.functional import pad

    taken = hidden[:, :count].float()
    return pad(taken, (0, 0, 0, count - taken.shape[1])).flatten(1)


def masked_mean(hidden: Tensor, keep: Tensor) -> Tensor:
    """Mean over some positions; what the others hold, be it NaN, changes nothing.

    Args:
        hidden: (b, L, d) activations.
        keep: (b, L), true where a position counts; at least one in every row.

    Returns:
        (b, d) float32.
    """
    kept = hidden.float().masked_fill(~keep.bool()[..., None], 0.0)
    return kept.sum(dim=1) / keep.sum(dim=1, keepdim=True)


def masked_max(hidden: Tensor, keep: Tensor) -> Tensor:
    """Largest activation of each channel at some positions; shapes as of `masked_mean`."""
    import torch

    return hidden.float().masked_fill(~keep.bool()[..., None], -torch.inf).amax(dim=1)


def last_kept(hidden: Tensor, keep: Tensor) -> Tensor:
    """Activations at the last of some positions, which in a causal model has seen all before it; shapes as there."""
    import torch

    last = keep.shape[1] - 1 - keep.long().flip(1).argmax(dim=1)
    return hidden[torch.arange(len(hidden), device=hidden.device), last].float()


def fixed_directions(dimension: int, count: int) -> NDArray[np.float32]:
    """Directions that every covariance of that size is taken along, the same on every machine and version.

    Signs from SHAKE-256 of the size, scaled to unit length: random signs keep inner products as random normal
    numbers do (D. Achlioptas, Journal of Computer and System Sciences 66, 2003, 671-687), and no library's random
    stream can change them.

    Args:
        dimension: Of the activations.
        count: How many directions.

    Returns:
        (count, dimension) float32, rows of length 1.
    """
    seed = f"covariance directions {count} x {dimension}".encode("ascii")
    stream = hashlib.shake_256(seed).digest((count * dimension + 7) // 8)
    signs = np.unpackbits(np.frombuffer(stream, np.uint8), count=count * dimension).reshape(count, dimension)
    return (signs.astype(np.float32) * 2 - 1) / np.float32(math.sqrt(dimension))
