"""How far variants move their windows' vectors before any head is trained: a figure by label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glm_assets.evaluation.figures import CLASSES, log_edges, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 50


def plot_pair_distances(
    distances: NDArray[np.float32],
    label: NDArray[np.integer],
    what: str = "cosine distance of reference and variant",
) -> Figure:
    """Histogram of the logarithm of the distances, one outline for each label.

    Args:
        distances: (n,) as `heads.distances.pair_distances` returns them; those that are exactly zero are counted in
            the title.
        label: (n,) 1 pathogenic, 0 benign.
        what: What the distances are.
    """
    figure = new_figure()
    axes = figure.subplots()
    positive = distances > 0
    if positive.any():
        edges = log_edges(distances[positive], _BINS)
        for value, name, colour in CLASSES:
            own = np.log10(distances[positive & (label == value)])
            if own.size:
                axes.hist(own, edges, histtype="step", color=colour, label=f"{name} ({own.size:,})")
                axes.axvline(float(np.median(own)), color=colour, linestyle=":")
        axes.legend(frameon=False)
    zero = int(np.count_nonzero(~positive))
    axes.set_title(f"{len(distances):,} variants, {zero:,} exactly zero; dotted: medians", fontsize=10)
    axes.set_xlabel(f"{what} (log10)")
    axes.set_ylabel("variants")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
