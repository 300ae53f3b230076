"""The figure of a model before and after training, by kind of sequence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from glm_assets.evaluation.figures import BENIGN, NEUTRAL, display_name, new_figure, tidy
from glm_assets.evaluation.model_styles import FINE_TUNED, ZERO_SHOT, model_colours, model_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_ROWS: Final = 24


def plot_model_comparison(
    table: pl.DataFrame, *, name: str = "mean log-probability of a base", title: str = "", guess: bool = True
) -> Figure:
    """Both models' means by kind of sequence, and beside them the difference with its interval.

    Args:
        table: A row per kind: `name`, `zero_shot`, `fine_tuned`, `difference`, `low`, `high` (null without an
            interval) and `rows`; the first 24 are drawn.
        name: Of what is compared.
        title: Above the figure.
        guess: Whether to mark -ln 4, what guessing among four bases reaches.
    """
    shown = table.head(_MOST_ROWS)
    places = np.arange(shown.height)
    figure = new_figure((9.0, max(2.5, 1.5 + 0.42 * shown.height)))
    absolute, difference = figure.subplots(1, 2, width_ratios=(1.5, 1), sharey=True)
    colours = model_colours((ZERO_SHOT, FINE_TUNED))
    both = shown.select(ZERO_SHOT, FINE_TUNED).cast(pl.Float64).to_numpy()
    absolute.hlines(places, both.min(axis=1), both.max(axis=1), color="#bbbbbb", linewidth=2, zorder=1)
    for column, (model, colour) in enumerate(colours.items()):
        absolute.plot(both[:, column], places, "o", color=colour, markersize=8, label=model_title(model))
    if guess:
        absolute.axvline(-math.log(4), color="black", linestyle=":", linewidth=1, label="guessing (-ln 4)")
    labels = [f"{display_name(kind)} ({rows:,})" for kind, rows in shown.select("name", "rows").iter_rows()]
    absolute.set_yticks(places, labels, fontsize=8)
    absolute.set_ylim(shown.height - 0.5, -0.5)
    absolute.margins(x=0.08)
    absolute.set_xlabel(name, fontsize=9)
    tidy(absolute, grid="x")
    values, low, high = (shown[column].cast(pl.Float64).to_numpy() for column in ("difference", "low", "high"))
    sides = np.nan_to_num(np.abs(np.stack([values - low, high - values])))
    difference.axvline(0, color=NEUTRAL, linestyle=":", linewidth=1)
    difference.errorbar(values, places, xerr=sides, fmt="o", color=BENIGN, markersize=5, capsize=3)
    difference.tick_params(axis="y", length=0)
    difference.set_xlabel("fine-tuned less zero-shot, with 95 % interval", fontsize=9)
    tidy(difference, grid="x")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    left = table.height - shown.height
    more = f" ({left} kinds left out)" if left else ""
    figure.suptitle(display_name(title or "before and after training", 80) + more, fontsize=10)
    return figure
