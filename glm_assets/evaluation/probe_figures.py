"""What a probe says of the validation pairs: its ROC curve, and its probabilities by class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glm_assets.evaluation.figures import CLASSES, NEUTRAL, new_figure
from glm_assets.evaluation.ranking import auroc

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 25


def plot_probe(name: str, probability: NDArray[np.floating], label: NDArray[np.integer]) -> Figure:
    """The ROC curve at the left, the probabilities of each class as shares of it at the right.

    Args:
        name: The probe's, for the title.
        probability: Of being pathogenic (n,), in [0, 1].
        label: 1 pathogenic, 0 benign (n,), both there.
    """
    figure = new_figure((8.0, 3.4))
    curve, shares = figure.subplots(1, 2)
    false, true = _roc(probability, label)
    curve.plot(false, true, color=CLASSES[1][2])
    curve.plot([0, 1], [0, 1], color=NEUTRAL, linestyle=":")
    curve.set_aspect("equal")
    curve.set_xlabel("benign pairs above the threshold")
    curve.set_ylabel("pathogenic pairs above it")
    curve.set_title(f"AUROC {auroc(probability, label):.4f}", fontsize=10)
    edges = np.linspace(0, 1, _BINS + 1).tolist()
    for value, kind, colour in CLASSES:
        own = probability[label == value]
        weights = np.full(own.size, 1 / own.size)
        shares.hist(own, edges, weights=weights, color=colour, alpha=0.5, label=f"{kind} ({own.size:,})")
    shares.set_xlabel("probability of pathogenic")
    shares.set_ylabel("share of the class")
    shares.legend(fontsize=8, frameon=False)
    figure.suptitle(f"{name}: {len(label):,} validation pairs", fontsize=11)
    for axes in (curve, shares):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _roc(
    score: NDArray[np.floating], label: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares of class 0 and of class 1 above each threshold, from none to all; equal scores pass at once."""
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.diff(score[order], append=-np.inf))
    positive = np.cumsum(label[order] == 1)[last]
    negative = last + 1 - positive
    return np.r_[0.0, negative / negative[-1]], np.r_[0.0, positive / positive[-1]]
