"""The scores of a user's variants at a glance: a histogram each, and what could not be scored and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from glm_assets.evaluation.experiment_figure import TITLES
from glm_assets.evaluation.figures import ACCENTS, NEUTRAL, log_edges, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS: Final = 40
_LOGARITHMIC: Final = frozenset(("head_distance", "raw_distance"))


def plot_scores(scored: pl.DataFrame, unscored: Mapping[str, int]) -> Figure:
    """A histogram of each score that there is, and the numbers of alleles without scores by reason.

    Args:
        scored: The table `scored_variants`, n rows.
        unscored: Reason to how many alleles have it.
    """
    names = [name for name in TITLES if scored[name].count()]
    panels = len(names) + bool(unscored) or 1
    columns = 2 if panels == 4 else min(panels, 3)
    lines = -(-panels // columns)
    figure = new_figure((3.2 * columns, 2.5 * lines + 0.3))
    axes = figure.subplots(lines, columns, squeeze=False).ravel().tolist()
    for panel, name in zip(axes, names, strict=False):
        _histogram(panel, scored[name].drop_nulls().to_numpy(), name)
    if unscored:
        _reasons(axes[len(names)], unscored)
    for panel in axes[panels if names or unscored else 0 :]:
        panel.set_visible(False)
    without = sum(unscored.values())
    figure.suptitle(f"{scored.height - without:,} alleles with scores, {without:,} without", fontsize=10)
    return figure


def _histogram(axes: Axes, values: np.ndarray, name: str) -> None:
    title = TITLES[name]
    if name in _LOGARITHMIC:
        zero = int(np.count_nonzero(values <= 0))
        values = values[values > 0]
        if values.size:
            axes.hist(np.log10(values), log_edges(values, _BINS), color=ACCENTS[2])
        title += f" (log10{f'; {zero:,} are 0' if zero else ''})"
    else:
        axes.hist(values, _BINS, color=ACCENTS[2])
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(title, fontsize=8)
    axes.set_ylabel("alleles", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _reasons(axes: Axes, unscored: Mapping[str, int]) -> None:
    ordered = sorted(unscored.items(), key=lambda item: (item[1], item[0]))
    bars = axes.barh([name for name, _ in ordered], [count for _, count in ordered], color=NEUTRAL)
    axes.bar_label(bars, fmt="{:,.0f}", fontsize=7, padding=2)
    axes.margins(x=0.2)
    axes.locator_params(axis="x", nbins=5, integer=True)
    axes.set_xlabel("alleles without scores", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
