"""The main figures of a comparison, for Dagster's metadata; the page draws its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from glm_assets.evaluation.comparison import Comparison
from glm_assets.evaluation.figures import NEUTRAL, new_figure
from glm_assets.evaluation.ladder_response import ladder_response
from glm_assets.evaluation.score_curves import precision_recall_points, roc_points, thinned
from glm_assets.evaluation.scorer_styles import Style, scorer_styles
from glm_assets.evaluation.scores import SealedTest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEGEND: Final = {"fontsize": 8, "frameon": False, "handlelength": 3.2}


def plot_auroc_forest(comparison: Comparison, test: SealedTest) -> Figure:
    """AUROC of every scorer with its interval; a dotted line marks guessing.

    Args:
        comparison: The numbers.
        test: What they were computed on.
    """
    table, styles = comparison.scorers, scorer_styles(test.scored)
    figure = new_figure((8.0, 1.1 + 0.3 * table.height))
    axes = figure.subplots()
    for place, row in enumerate(table.iter_rows(named=True)):
        colour = styles[row["name"]].colour
        axes.plot(_numbers([row["auroc_low"], row["auroc_high"]]), [place, place], color=colour, linewidth=2)
        axes.plot(_numbers([row["auroc"]]), [place], "o", color=colour, markersize=6)
    axes.set_yticks(range(table.height), [_named(row) for row in table.iter_rows(named=True)], fontsize=9)
    axes.invert_yaxis()
    axes.axvline(0.5, color=NEUTRAL, linestyle=":", linewidth=1)
    axes.set_xlim(right=1.0)
    axes.set_xlabel(f"AUROC with 95 % interval, {comparison.loci:,} loci resampled {comparison.resamples:,} times")
    _tidy(axes)
    return figure


def plot_consequence_slices(comparison: Comparison, test: SealedTest) -> Figure:
    """AUROC of every scorer within each class of consequence; hollow where the class is small.

    Args:
        comparison: The numbers.
        test: What they were computed on.
    """
    part = comparison.slices.filter(pl.col("by") == "consequence")
    sizes = part.group_by("value").agg(pl.col("rows").max(), pl.col("pathogenic").max()).sort("rows", "value")
    places = {value: place for place, value in enumerate(sizes["value"])}
    figure = new_figure((9.0, 1.4 + 0.36 * max(1, len(places))))
    axes = figure.subplots()
    styles, names = scorer_styles(test.scored), [one.name for one in test.scored]
    offsets = dict(zip(names, np.linspace(0.3, -0.3, len(names)), strict=True))
    for name in names:
        own = part.filter((pl.col("name") == name) & pl.col("auroc").is_not_nan() & pl.col("auroc").is_not_null())
        at = np.array([places[value] for value in own["value"]]) + offsets[name]
        auroc, small = own["auroc"].to_numpy(), own["small"].to_numpy().astype(bool)
        colour = styles[name].colour
        axes.plot(auroc[~small], at[~small], "o", color=colour, markersize=5, label=name)
        axes.plot(auroc[small], at[small], "o", color=colour, markersize=4, fillstyle="none", alpha=0.5)
    labels = [f"{row['value']} ({row['rows']:,}, {row['pathogenic']:,} P)" for row in sizes.iter_rows(named=True)]
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.axvline(0.5, color=NEUTRAL, linestyle=":", linewidth=1)
    axes.set_xlabel("AUROC within the class (hollow: small class)")
    _tidy(axes)
    if names:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", **_LEGEND)
    return figure


def plot_calibration(comparison: Comparison, test: SealedTest) -> Figure:
    """Share of pathogenic variants by probability, for the scorers that have probabilities.

    Args:
        comparison: The numbers.
        test: What they were computed on.
    """
    figure = new_figure((6.4, 4.0))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=NEUTRAL, linestyle=":", linewidth=1)
    styles = scorer_styles(test.scored)
    for (name,), own in comparison.reliability.group_by("name", maintain_order=True):
        x, y = own["probability"].to_numpy(), own["observed"].to_numpy()
        axes.plot(x, y, marker="o", markersize=3, label=str(name), **_line(styles[str(name)]))
    axes.set(xlabel="mean probability of the bin", ylabel="pathogenic share of the bin", xlim=(0, 1), ylim=(0, 1))
    _tidy(axes)
    if comparison.reliability.height:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", **_LEGEND)
    return figure


def plot_roc_and_precision(test: SealedTest) -> Figure:
    """ROC and precision-recall curves of every scorer, over the rows it scores.

    Args:
        test: The sealed test.
    """
    figure = new_figure((8.6, 3.4))
    left, right = figure.subplots(1, 2)
    label, styles = test.variants["label"].to_numpy(), scorer_styles(test.scored)
    for one in test.scored:
        there = np.isfinite(one.score)
        for axes, points in ((left, roc_points), (right, precision_recall_points)):
            if (curve := points(one.score[there], label[there])) is not None:
                x, y = thinned(curve)
                axes.plot(x, y, label=one.name, linewidth=1.4, **_line(styles[one.name]))
    left.plot([0, 1], [0, 1], color=NEUTRAL, linestyle=":", linewidth=1)
    right.axhline(float(label.mean()) if len(label) else 0.0, color=NEUTRAL, linestyle=":", linewidth=1)
    for axes, x_label, y_label in (
        (left, "false positive rate", "true positive rate"),
        (right, "recall", "precision"),
    ):
        axes.set(xlabel=x_label, ylabel=y_label, xlim=(0, 1), ylim=(0, 1.01))
        _tidy(axes)
    if test.scored:
        figure.legend(*left.get_legend_handles_labels(), loc="outside right upper", **_LEGEND)
    return figure


def plot_ladders(test: SealedTest) -> Figure:
    """Median distance by number of substitutions with quartiles, and the correlations within ladders.

    Args:
        test: The sealed test.
    """
    figure = new_figure((10.0, 4.0))
    left, right = figure.subplots(1, 2)
    styles = scorer_styles(test.scored)
    names, correlations = [], []
    for one in test.scored:
        if one.ladder_distance is None or not test.ladders.height:
            continue
        response = ladder_response(test.ladders, one.ladder_distance)
        low, median, high = response.quartiles
        left.plot(
            response.substitutions, median, marker="o", markersize=3, label=one.name, **_line(styles[one.name])
        )
        left.fill_between(response.substitutions, low, high, color=styles[one.name].colour, alpha=0.12)
        if len(response.correlations):
            names.append(one.name)
            correlations.append(response.correlations)
    if left.lines:
        left.set_xscale("log", base=2)
        left.set_yscale("log")
        left.legend(**_LEGEND)
    if correlations:
        right.boxplot(correlations, orientation="horizontal", tick_labels=names, showfliers=False)
        right.invert_yaxis()
    left.set(xlabel="substitutions", ylabel="cosine distance (median, quartiles)")
    right.set(xlabel="Pearson's r within a ladder")
    for axes in (left, right):
        _tidy(axes)
    return figure


def _named(row: Mapping[str, Any]) -> str:
    covered = "" if row["coverage"] >= 1 else f" ({100 * row['coverage']:.0f} % of rows)"
    return f"{row['name']}{covered}"


def _numbers(values: list[float | None]) -> list[float]:
    return [np.nan if value is None else value for value in values]


def _line(style: Style) -> dict[str, Any]:
    return {"color": style.colour, "linestyle": style.matplotlib_dash}


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e8ebee", linewidth=0.6)
    axes.set_axisbelow(True)
