"""How far more and more substitutions move a window's vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from glm_assets.evaluation.figures import BENIGN, new_figure
from glm_assets.evaluation.ladder_response import LadderResponse

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_ladder_response(response: LadderResponse | None) -> Figure:
    """Median and quartiles of the distance by number of substitutions, both axes logarithmic.

    Args:
        response: Over all ladders that are shown; None where there are none.
    """
    figure = new_figure()
    axes = figure.subplots()
    if response is None:
        axes.set_title("no ladders in train and val", fontsize=10)
        return figure
    low, median, high = response.quartiles
    axes.fill_between(response.substitutions, low, high, color=BENIGN, alpha=0.25, linewidth=0, label="quartiles")
    axes.plot(response.substitutions, median, color=BENIGN, marker="o", markersize=4, label="median")
    axes.set_xscale("log", base=2)
    if low.min() > 0:
        axes.set_yscale("log")
    axes.set_xticks(response.substitutions, [f"{count}" for count in response.substitutions])
    axes.minorticks_off()
    ladders = response.correlations.size
    mean = f", mean r {np.mean(response.correlations):.3f}" if ladders else ""
    axes.set_title(f"{ladders:,} ladders of train and val{mean}", fontsize=10)
    axes.set_xlabel("substitutions")
    axes.set_ylabel("cosine distance of the windows")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
