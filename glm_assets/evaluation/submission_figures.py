"""How far apart a submission keeps its sequences: the distance of each vector to its nearest other, and a figure.

Test sequences come in families that differ by a few bases, so the nearest neighbour of most is its own variant: a
model that does not see variants piles up at the left of the figure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glm_assets.evaluation.figures import ACCENTS, NEUTRAL, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SAME = 1e-12
"""Vectors closer than this are the same but for the rounding of float32."""
_BINS_PER_DECADE = 10


def nearest_distances(vectors: NDArray[np.float32], *, block: int = 1024) -> NDArray[np.float64]:
    """Cosine distance of every vector to its nearest other vector.

    Computed in float64: a float32 product cannot tell distances below about 1e-7 apart, and that of a reference
    and its variant can be smaller.

    Args:
        vectors: (n, dimensions) float32, no row of zeros.
        block: Rows compared at a time; memory is (n + block) rows in float64 and block * n distances.

    Returns:
        (n,) distances in [0, 2]; infinite for an only vector.
    """
    unit = vectors.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    nearest = np.empty(len(unit))
    for start in range(0, len(unit), block):
        similarity = unit[start : start + block] @ unit.T
        here = np.arange(len(similarity))
        similarity[here, start + here] = -np.inf  # not its own neighbour
        nearest[start : start + block] = similarity.max(axis=1)
    return np.maximum(1 - nearest, 0)


def plot_nearest_distances(distances: NDArray[np.float64]) -> Figure:
    """Histogram of the nearest distances by their logarithm; vectors without a distance are counted in the title.

    Args:
        distances: (n,) as `nearest_distances` returns them.
    """
    same = int(np.count_nonzero(distances <= _SAME))
    apart = np.log10(distances[(distances > _SAME) & np.isfinite(distances)])
    title = f"{len(distances):,} test sequences, {same:,} with the same vector as another"
    figure = new_figure()
    axes = figure.subplots()
    if len(apart):
        low, high = int(np.floor(apart.min())), int(np.floor(apart.max())) + 1
        axes.hist(apart, bins=np.linspace(low, high, (high - low) * _BINS_PER_DECADE + 1).tolist(), color=NEUTRAL)
        median = float(np.median(apart))
        axes.axvline(median, color=ACCENTS[0])
        title += f"; median {10**median:.2g}"
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("cosine distance to the nearest other sequence (log10)")
    axes.set_ylabel("sequences")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
