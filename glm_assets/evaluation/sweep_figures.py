"""The figure of a layer sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from glm_assets.evaluation.figures import ACCENTS, BENIGN, NEUTRAL, PATHOGENIC, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_layer_sweep(sweep: pl.DataFrame) -> Figure:
    """AUROC by layer, with and without training, and how far variants move the vectors.

    Args:
        sweep: Rows of the table `layer_comparison`.
    """
    figure = new_figure((8.0, 3.6))
    left, right = figure.subplots(1, 2)
    places = np.arange(sweep.height)
    for column, name, colour in (
        ("auroc_probe", "ridge on differences, val", PATHOGENIC),
        ("auroc_distance", "cosine distance, train and val", BENIGN),
    ):
        left.plot(places, sweep[column].to_numpy(), "o-", color=colour, label=name, markersize=4)
    left.axhline(0.5, color=NEUTRAL, linestyle=":", linewidth=1)
    left.set_ylabel("AUROC")
    left.legend(frameon=False, fontsize=8)
    right.plot(places, sweep["relative_delta_median"].to_numpy(), "o-", color=ACCENTS[0], markersize=4)
    right.set_ylim(bottom=0)
    right.set_ylabel("median |difference| / |reference|")
    for axes in (left, right):
        axes.set_xticks(places, [_short(layer) for layer in sweep["layer"]], rotation=45, ha="right", fontsize=8)
        axes.set_xlabel("layer")
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(
        f"{sweep['variants'][0]:,} variants, {sweep['probe_variants'][0]:,} of them judge the ridge", fontsize=10
    )
    return figure


def _short(layer: str) -> str:
    return layer.removeprefix("blocks.").replace(".mlp.l3", "")
