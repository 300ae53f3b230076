"""How variants change the likelihood of their windows, by label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glm_assets.evaluation.figures import CLASSES, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 60
_SHOWN = (0.5, 99.5)  # percentiles: a few large indels would squeeze all others into one bin


def plot_likelihood_ratios(ratio: NDArray[np.float64], label: NDArray[np.integer], auroc: float | None) -> Figure:
    """Histogram of log-likelihood ratios, one outline for each label, each of area one.

    Args:
        ratio: (n,) log P(variant window) - log P(reference window), in nats; those beyond the outermost half per cent
            are counted in the outermost bins.
        label: (n,) 1 pathogenic, 0 benign.
        auroc: What the title says of how well it tells the labels apart; None where a class is absent.
    """
    figure = new_figure()
    axes = figure.subplots()
    if ratio.size:
        low, high = np.percentile(ratio, _SHOWN).tolist()
        edges = np.linspace(low, max(high, low + 1e-6), _BINS + 1).tolist()
        for value, name, colour in CLASSES:
            own = ratio[label == value]
            if own.size:
                shown = np.clip(own, edges[0], edges[-1])
                axes.hist(
                    shown, edges, histtype="step", density=True, color=colour, label=f"{name} ({own.size:,})"
                )
                axes.axvline(float(np.median(own)), color=colour, linestyle=":")
        axes.legend(frameon=False)
    found = "" if auroc is None else f", AUROC {auroc:.3f}"
    axes.set_title(f"{len(ratio):,} variants of train and val{found}; dotted: medians", fontsize=10)
    axes.set_xlabel("log P(variant window) - log P(reference window), nats")
    axes.set_ylabel("density")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
