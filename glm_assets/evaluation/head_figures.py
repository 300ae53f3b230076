"""Figures of a head's training and of its validation distances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glm_assets.evaluation.figures import ACCENTS, BENIGN, CLASSES, NEUTRAL, log_edges, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANELS = {"score": "score", "cd": "CD", "cdd": "CDD", "pcc": "PCC"}
_BINS = 40


def training_curves(name: str, history: Sequence[Mapping[str, Any]], soup: Mapping[str, float]) -> Figure:
    """Validation figures by epoch, the kept checkpoints as dots, the soup as a dashed line.

    Args:
        name: The head's name, for the title.
        history: Per epoch `epoch`, `kept` and `validation` with `score`, `cd`, `cdd` and `pcc`.
        soup: The same four figures of the soup.
    """
    figure = new_figure((9.0, 5.5))
    figure.suptitle(f"{name}: validation by epoch", fontsize=11)
    epochs = np.array([record["epoch"] for record in history])
    kept = np.array([record["kept"] for record in history], dtype=bool)
    panels = figure.subplots(2, 2, sharex=True)
    for axes, (key, title) in zip(panels.flat, _PANELS.items(), strict=True):
        values = np.array([record["validation"][key] for record in history])
        axes.plot(epochs, values, color=NEUTRAL, linewidth=1.2)
        axes.plot(epochs[kept], values[kept], "o", color=BENIGN, markersize=4, label="kept for the soup")
        axes.axhline(soup[key], color=ACCENTS[1], linestyle="--", label=f"soup: {soup[key]:.4g}")
        axes.set_title(title, fontsize=10)
        axes.legend(fontsize=8, frameon=False)
        tidy(axes)
    for axes in panels[1]:
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def distance_histogram(name: str, distance: NDArray[np.floating], label: NDArray[np.integer]) -> Figure:
    """Histogram of the logarithm of the validation distances, as shares of each class, the means marked.

    Args:
        name: The head's name, for the title.
        distance: Cosine distance of each pair (n,); those of exactly 0 are counted in the title only.
        label: 1 pathogenic, 0 benign (n,).
    """
    figure = new_figure()
    axes = figure.subplots()
    positive = distance > 0
    if positive.any():
        edges = log_edges(distance[positive], _BINS)
        for value, kind, colour in CLASSES:
            own = distance[positive & (label == value)]
            if own.size:
                shares = np.full(own.size, 1 / own.size)
                title = f"{kind} ({own.size:,})"
                axes.hist(np.log10(own), edges, weights=shares, color=colour, alpha=0.5, label=title)
                axes.axvline(float(np.log10(own.mean())), color=colour, linestyle=":")
        axes.legend(fontsize=8, frameon=False)
    zero = int(np.count_nonzero(~positive))
    pairs = f"{len(distance):,} validation pairs, {zero:,} with distance zero"
    axes.set_title(f"{name}: {pairs}; dotted: means", fontsize=10)
    axes.set_xlabel("cosine distance of reference and variant (log10)")
    axes.set_ylabel("share of the class")
    tidy(axes)
    return figure
