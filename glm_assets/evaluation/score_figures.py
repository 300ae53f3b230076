"""What a submission does with the structure of the test CSV: its pairs by class, and its mutation ladders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glm_assets.evaluation.figures import ACCENTS, CLASSES, NEUTRAL, log_edges, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 40
_UNKNOWN = -1
_KINDS = (*CLASSES, (_UNKNOWN, "not in ClinVar here", NEUTRAL))


def plot_scored_pairs(distance: NDArray[np.float64], label: NDArray[np.integer]) -> Figure:
    """Histogram of the logarithm of the pairs' distances, as shares of each class, the means marked.

    Args:
        distance: Cosine distance of each pair (n,); those of exactly 0 are counted in the title only.
        label: 1 pathogenic, 0 benign, -1 unknown (n,).
    """
    figure = new_figure()
    axes = figure.subplots()
    positive = distance > 0
    if positive.any():
        edges = log_edges(distance[positive], _BINS)
        for value, kind, colour in _KINDS:
            own = distance[positive & (label == value)]
            if own.size:
                weights = np.full(own.size, 1 / own.size)
                axes.hist(
                    np.log10(own), edges, weights=weights, color=colour, alpha=0.5, label=f"{kind} ({own.size:,})"
                )
                axes.axvline(float(np.log10(own.mean())), color=colour, linestyle=":")
        axes.legend(fontsize=8, frameon=False)
    zero = int(np.count_nonzero(~positive))
    axes.set_title(f"{len(distance):,} SNV pairs, {zero:,} with distance zero; dotted: means", fontsize=10)
    axes.set_xlabel("cosine distance of the two (log10)")
    axes.set_ylabel("share of the class")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def plot_scored_ladders(
    substitutions: NDArray[np.integer], distance: NDArray[np.float64], ladder: NDArray[np.integer]
) -> Figure:
    """Distance from the base by substitutions: a thin line a ladder, the median over ladders thick.

    Args:
        substitutions: Of each rung (m,).
        distance: Its cosine distance from the base (m,).
        ladder: Its ladder (m,).
    """
    figure = new_figure()
    axes = figure.subplots()
    for number in np.unique(ladder):
        own = ladder == number
        axes.plot(substitutions[own], distance[own], color=NEUTRAL, linewidth=0.6, alpha=0.5)
    steps = np.unique(substitutions)
    medians = [float(np.median(distance[substitutions == step])) for step in steps]
    axes.plot(steps, medians, "o-", color=ACCENTS[0], label="median over ladders")
    axes.set_xscale("log", base=2)
    if len(steps):
        axes.legend(fontsize=8, frameon=False)
    axes.set_title(f"{len(np.unique(ladder)):,} mutation ladders", fontsize=10)
    axes.set_xlabel("substitutions")
    axes.set_ylabel("cosine distance from the base")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
