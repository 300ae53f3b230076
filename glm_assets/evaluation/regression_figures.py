"""Figures of a regression: predictions against the truth, errors by group, and what is predicted how often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.evaluation.bootstrap import Estimate
from glm_assets.evaluation.figures import ACCENTS, BENIGN, NEUTRAL, PATHOGENIC, display_name, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS: Final = 20
_DISCRETE: Final = 12
"""With at most so many different targets their dots are spread sideways, so that they do not hide each other."""

_GROUPS: Final = 20
_MOST_DOTS: Final = 4000


def plot_scatter(
    predicted: NDArray[np.floating],
    target: NDArray[np.floating],
    pearson: Estimate,
    spearman: Estimate,
    *,
    names: tuple[str, str] = ("true score", "predicted score"),
    limits: tuple[float, float] | None = None,
    title: str = "",
) -> Figure:
    """A dot per row, with both correlations and their intervals above.

    Targets of a few values are spread sideways and their means drawn as dashes; of very many rows an even choice is
    shown, with the same dots each time.

    Args:
        predicted: (n,) predictions, or any score.
        target: (n,) what is true, or was measured.
        pearson: Of the two.
        spearman: Of the two.
        names: Of the two axes: that of the target and that of the predictions.
        limits: The scale of both, such as (0, 10), so that predictions which hardly differ are seen not to; by default
            the axis spans the predictions.
        title: Before the correlations.
    """
    figure = new_figure((5.4, 4.4))
    axes = figure.subplots()
    generator = np.random.default_rng(0)
    values = np.unique(target)
    x = target.astype(np.float64)
    if 1 < len(values) <= _DISCRETE:
        gap = float(np.diff(values).min())
        x = x + generator.uniform(-0.3, 0.3, len(x)) * gap
        means = [float(predicted[target == value].mean()) for value in values]
        half = 0.42 * gap
        axes.hlines(means, values - half, values + half, color=PATHOGENIC, linewidth=2, zorder=3, label="mean")
        axes.set_xticks(values)
        axes.legend(fontsize=8, frameon=False, loc="upper left")
    shown = generator.permutation(len(x))[:_MOST_DOTS]
    axes.plot(x[shown], predicted[shown], "o", color=BENIGN, alpha=0.35, markersize=3, markeredgewidth=0)
    axes.set(xlabel=names[0], ylabel=names[1])
    if limits:
        axes.axline((limits[0], limits[0]), slope=1, color=NEUTRAL, linestyle=":", linewidth=1)
        margin = 0.05 * (limits[1] - limits[0])
        axes.set_ylim(limits[0] - margin, limits[1] + margin)
    tidy(axes, grid="both")
    rows = f"{title}: {len(target):,} rows" if title else f"{len(target):,} rows"
    axes.set_title(f"{rows}\nPearson's r {_said(pearson)}\nSpearman's rho {_said(spearman)}", fontsize=9)
    return figure


def plot_error_by_group(
    predicted: NDArray[np.floating], target: NDArray[np.floating], group: NDArray, *, title: str = ""
) -> Figure:
    """Boxes of predicted - true of each group: quartiles, and whiskers from the 5th to the 95th percentile.

    Args:
        predicted: (n,) predictions.
        target: (n,) what is true.
        group: (n,) name of each row's group, such as its consequence; the largest are shown.
        title: Above the figure.
    """
    error = (predicted - target).astype(np.float64)
    names, place, sizes = np.unique(group.astype(str), return_inverse=True, return_counts=True)
    largest = np.argsort(-sizes, kind="stable")[:_GROUPS]
    figure = new_figure((6.8, max(2.2, 1.2 + 0.3 * len(largest))))
    axes = figure.subplots()
    axes.axvline(0, color=NEUTRAL, linestyle=":", linewidth=1)
    axes.boxplot(
        [error[place == number] for number in largest],
        orientation="horizontal",
        whis=(5, 95),
        showfliers=False,
        widths=0.6,
        patch_artist=True,
        boxprops={"facecolor": ACCENTS[2], "linewidth": 0.8},
        medianprops={"color": "black"},
        showmeans=True,
        meanprops={"marker": "D", "markersize": 4, "markerfacecolor": "white", "markeredgecolor": "black"},
    )
    labels = [f"{display_name(str(names[number]))} ({sizes[number]:,})" for number in largest]
    axes.set_yticks(range(1, len(largest) + 1), labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("predicted minus true; diamond: mean, whiskers: 5 % to 95 %", fontsize=9)
    tidy(axes, grid="x")
    left = len(names) - len(largest)
    axes.set_title(
        (title or "error by consequence") + (f" ({left} small ones left out)" if left else ""), fontsize=10
    )
    return figure


def plot_distributions(
    predicted: NDArray[np.floating], target: NDArray[np.floating], *, limits: tuple[float, float], title: str = ""
) -> Figure:
    """Histograms of the targets and of the predictions over 20 equal bins, as shares of the rows.

    Args:
        predicted: (n,) predictions.
        target: (n,) what is true.
        limits: The scale, such as (0, 10); what lies outside counts into the outermost bins.
        title: Above the figure.
    """
    figure = new_figure()
    axes = figure.subplots()
    edges = np.linspace(*limits, _BINS + 1).tolist()
    shares = np.full(len(target), 1 / len(target))
    true, given = np.clip(target, *limits), np.clip(predicted, *limits)
    axes.hist(true, edges, weights=shares, color=NEUTRAL, alpha=0.55, label="true")
    axes.hist(given, edges, weights=shares, histtype="step", color=BENIGN, linewidth=1.8, label="predicted")
    axes.set(xlim=limits, xlabel="score", ylabel="share of the rows")
    tidy(axes)
    figure.legend(loc="outside upper right", ncols=2, fontsize=8, frameon=False)
    figure.suptitle(title or f"{len(target):,} rows, true and predicted", fontsize=10, x=0.02, ha="left")
    return figure


def plot_error_bars(figures: pl.DataFrame, *, title: str = "") -> Figure:
    """RMSE and MAE with intervals beside those of predicting the training mean.

    Args:
        figures: As `RegressionFigures.table` gives it.
        title: Above the figure.
    """
    rows = {row["figure"]: row for row in figures.iter_rows(named=True)}
    figure = new_figure((5.2, 3.2))
    axes = figure.subplots()
    parts = ((-0.2, "", "model", BENIGN), (0.2, "mean_", "training mean for all", NEUTRAL))
    for offset, prefix, name, colour in parts:
        own = [rows[f"{prefix}{error}"] for error in ("rmse", "mae")]
        values = [row["value"] for row in own]
        sides = [[abs(row["value"] - (row[end] or row["value"])) for row in own] for end in ("low", "high")]
        axes.bar(np.arange(2) + offset, values, 0.38, yerr=sides, capsize=3, color=colour, label=name)
    axes.set_xticks(range(2), ["RMSE", "MAE"])
    axes.set_ylabel("error, with 95 % interval")
    tidy(axes)
    figure.legend(loc="outside upper right", ncols=2, fontsize=8, frameon=False)
    figure.suptitle(title or "errors", fontsize=10, x=0.02, ha="left")
    return figure


def _said(estimate: Estimate) -> str:
    """A correlation in words: with its interval, without one, or that there is none."""
    if np.isnan(estimate.value):
        return "does not exist (a constant)"
    low, high = estimate.interval()
    return f"{estimate.value:.3f}" + ("" if np.isnan(low) else f" ({low:.3f} to {high:.3f})")
