"""Our scores against an experiment's, a panel each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from glm_assets.evaluation.agreement import Agreement
from glm_assets.evaluation.bootstrap import Estimate
from glm_assets.evaluation.figures import BENIGN, NEUTRAL, PATHOGENIC, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES: Final = {
    "head_distance": "distance after the head",
    "raw_distance": "distance of raw vectors",
    "probe_probability": "probe's probability",
    "log_likelihood_ratio": "log-likelihood ratio",
}
"""What figures call our scores."""

_GROUPS: Final = ((-1, "no class", NEUTRAL), (0, "negative class", BENIGN), (1, "positive class", PATHOGENIC))
_MOST_POINTS: Final = 20_000
_FEW: Final = 500


def plot_experiment(joined: pl.DataFrame, agreements: Sequence[Agreement], name: str) -> Figure:
    """Scatter of each of our scores and the measured one, with the figures and their 95 % intervals.

    Args:
        joined: As `experiment.join_experiment` gives it; at most 20,000 of its rows are drawn.
        agreements: The figures of the scores that there are, at least one.
        name: Of the experiment.
    """
    figure = new_figure((3.3 * len(agreements) + 0.4, 3.9))
    panels = figure.subplots(1, len(agreements), squeeze=False)[0]
    shown = joined.gather_every(max(1, -(-joined.height // _MOST_POINTS)))
    for axes, one in zip(panels, agreements, strict=True):
        _panel(axes, shown, one)
    panels[0].set_ylabel(f"measured score ({name})", fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.suptitle(f"{joined.height:,} measured variants with scores; 95 % intervals by variant", fontsize=10)
    return figure


def _panel(axes: Axes, joined: pl.DataFrame, one: Agreement) -> None:
    rows = joined.filter(pl.col(one.score).is_not_null())
    label = rows["label"].fill_null(-1).to_numpy()
    ours, measured = rows[one.score].to_numpy(), rows["score"].to_numpy()
    size = 24 if len(ours) < _FEW else 8
    for value, group, colour in _GROUPS:
        own = label == value
        if own.any():
            axes.scatter(ours[own], measured[own], s=size, alpha=0.6, color=colour, linewidths=0, label=group)
    lines = [f"Pearson {_with_interval(one.pearson)}", f"Spearman {_with_interval(one.spearman)}"]
    if one.auroc:
        lines.append(f"AUROC {_with_interval(one.auroc)} ({one.positives:,} + {one.negatives:,})")
    axes.set_title("\n".join([f"n = {one.rows:,}", *lines]), fontsize=8, loc="left")
    axes.set_xlabel(TITLES[one.score], fontsize=9)
    axes.tick_params(labelsize=7)
    axes.locator_params(axis="x", nbins=4)
    axes.ticklabel_format(axis="x", scilimits=(-3, 3))
    axes.spines[["top", "right"]].set_visible(False)


def _with_interval(estimate: Estimate) -> str:
    if np.isnan(estimate.value):
        return "none: a score does not vary"
    low, high = estimate.interval()
    return f"{estimate.value:.2f} [{low:.2f}, {high:.2f}]"
