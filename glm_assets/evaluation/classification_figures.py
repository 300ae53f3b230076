"""Figures of a classifier: what it confuses, how well it does by class and read length, how far it can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.evaluation.figures import ACCENTS, BENIGN, NEUTRAL, display_name, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COUNTED_CLASSES: Final = 16
"""With more classes the numbers in the cells could not be read."""

_MODEL, _BASELINE = BENIGN, NEUTRAL
_FIGURE_NAMES: Final = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced\naccuracy",
    "macro_f1": "macro F1",
    "mcc": "MCC",
}


def plot_confusion(confusion: NDArray[np.integer], names: Sequence[str], *, title: str = "") -> Figure:
    """Heat map of where the rows of each class go, as shares of the class; the counts are written in.

    Args:
        confusion: (classes, classes) rows by true (first axis) and predicted class, 2 to about 50 classes.
        names: Of the classes.
        title: Above the figure.
    """
    classes, few = len(names), len(names) <= _COUNTED_CLASSES
    side = min(8.5, max(3.6, 1.6 + (0.62 if few else 0.15) * classes))
    figure = new_figure((side + 1.2, side))
    axes = figure.subplots()
    rows = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, rows, out=np.full(confusion.shape, np.nan), where=rows > 0)
    axes.set_facecolor("#eeeeee")  # shows where a class without rows has no shares
    image = axes.imshow(np.ma.masked_invalid(shares), cmap="Blues", vmin=0, vmax=1)
    if few:
        _write_counts(axes, confusion, shares)
    shown, size = [display_name(name, 24 if few else 16) for name in names], 8 if few else 6
    axes.set_xticks(range(classes), shown, fontsize=size)
    turn = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if few else {"rotation": 90}
    axes.tick_params(axis="x", length=2)
    for label in axes.get_xticklabels():
        label.set(**turn)
    totals = [f"{name} ({total:,})" for name, total in zip(shown, rows[:, 0], strict=True)]
    axes.set_yticks(range(classes), totals, fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true (rows)")
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, shrink=0.8, label="share of the true class")
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    figure.suptitle(title or f"confusion of {int(confusion.sum()):,} rows", fontsize=10)
    return figure


def plot_per_class(table: pl.DataFrame, *, title: str = "") -> Figure:
    """Bars of the F1 of each class with its precision and recall as marks, classes with most rows on top.

    Args:
        table: As `classification.per_class_table` gives it.
        title: Above the figure.
    """
    ordered = table.sort(["support", "class"], descending=[True, False])
    height = max(2.2, 1.1 + 0.27 * table.height)
    figure = new_figure((6.8, min(height, 13.0)))
    axes = figure.subplots()
    places = np.arange(table.height)
    axes.barh(places, ordered["f1"].fill_null(0), color=ACCENTS[2], height=0.7, label="F1")
    for column, marker, colour in (("precision", "|", "black"), ("recall", "o", "black")):
        values = ordered[column].cast(pl.Float64).to_numpy()
        axes.plot(values, places, marker, color=colour, markersize=9 if marker == "|" else 4, label=column)
    labels = [f"{display_name(name)} ({rows:,})" for name, rows in ordered.select("class", "support").iter_rows()]
    axes.set_yticks(places, labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("share; in brackets the rows of the class", fontsize=9)
    tidy(axes, grid="x")
    figure.legend(loc="outside upper right", ncols=3, fontsize=8, frameon=False)
    figure.suptitle(title or "figures by class", fontsize=10, x=0.02, ha="left")
    return figure


def plot_reliability(table: pl.DataFrame, *, error: float | None = None, title: str = "") -> Figure:
    """Share of correct rows by confidence with 95 % intervals; below the diagonal the model is too sure of itself.

    Args:
        table: As `classification.confidence_reliability` gives it.
        error: Expected calibration error, for the title.
        title: Above the figure.
    """
    figure = new_figure((4.6, 4.2))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=NEUTRAL, linestyle=":", linewidth=1)
    observed = table["observed"].to_numpy()
    sides = np.abs(np.stack([observed - table["low"].to_numpy(), table["high"].to_numpy() - observed]))
    axes.errorbar(
        table["probability"].to_numpy(), observed, sides, fmt="o-", color=_MODEL, markersize=4, linewidth=1.2
    )
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="mean confidence of the bin", ylabel="share correct in the bin")
    tidy(axes, grid="both")
    said = "" if error is None else f", expected calibration error {error:.3f}"
    axes.set_title(title or f"{table['rows'].sum():,} rows{said}", fontsize=10)
    return figure


def plot_by_read_length(model: pl.DataFrame, baseline: pl.DataFrame | None = None, *, title: str = "") -> Figure:
    """Accuracy of short and long reads, of a model and of its baseline.

    Args:
        model: As `classification.by_read_length` gives it.
        baseline: The same of the baseline.
        title: Above the figure.
    """
    figure = new_figure((max(4.4, 1.6 + 0.8 * model.height), 3.3))
    axes = figure.subplots()
    shown = [("model", model, _MODEL)] if baseline is None else [
        ("model", model, _MODEL),
        ("baseline", baseline, _BASELINE),
    ]  # fmt: skip
    width = 0.8 / len(shown)
    for number, (name, table, colour) in enumerate(shown):
        places = np.arange(table.height) + (number - (len(shown) - 1) / 2) * width
        bars = axes.bar(places, table["accuracy"].to_list(), 0.94 * width, color=colour, label=name)
        axes.bar_label(bars, fmt="{:.2f}", fontsize=7, padding=1)
    labels = [f"{bases}\n({rows:,})" for bases, rows in model.select("bases", "rows").iter_rows()]
    axes.set_xticks(range(model.height), labels, fontsize=8)
    axes.set(ylim=(0, 1.08), xlabel="bases of a read (reads)", ylabel="accuracy")
    tidy(axes)
    if len(shown) > 1:
        figure.legend(loc="outside upper right", ncols=2, fontsize=8, frameon=False)
    figure.suptitle(title or "accuracy by read length", fontsize=10, x=0.02, ha="left")
    return figure


def plot_against_baseline(
    comparison: pl.DataFrame, *, baseline: str = "k-mer baseline", title: str = ""
) -> Figure:
    """The figures of a model and a baseline with their intervals, and the interval of the difference.

    Args:
        comparison: As `classification_intervals.compare_classifiers` gives it.
        baseline: What the baseline is called.
        title: Above the figure.
    """
    figure = new_figure((7.4, 3.3))
    absolute, difference = figure.subplots(1, 2, width_ratios=(1.5, 1))
    places = np.arange(comparison.height)
    names = [_FIGURE_NAMES.get(name, name) for name in comparison["figure"]]
    for offset, part, name, colour in ((-0.2, "model", "model", _MODEL), (0.2, "baseline", baseline, _BASELINE)):
        values, sides = _with_interval(comparison, part, f"{part}_low", f"{part}_high")
        absolute.bar(places + offset, values, 0.38, color=colour, yerr=sides, capsize=3, label=name)
    absolute.set_xticks(places, names, fontsize=8)
    absolute.set_ylim(min(0.0, *absolute.get_ylim()), max(1.0, *absolute.get_ylim()))
    absolute.set_ylabel("value, with 95 % interval")
    tidy(absolute)
    values, sides = _with_interval(comparison, "difference", "low", "high")
    difference.axvline(0, color=NEUTRAL, linestyle=":", linewidth=1)
    difference.errorbar(values, places, xerr=sides, fmt="o", color=_MODEL, markersize=5, capsize=3)
    difference.set_yticks(places, names, fontsize=8)
    difference.set_ylim(comparison.height - 0.5, -0.5)
    difference.set_xlabel(f"model minus {baseline}", fontsize=9)
    tidy(difference, grid="x")
    figure.legend(loc="outside upper right", ncols=2, fontsize=8, frameon=False)
    figure.suptitle(title or "against the baseline", fontsize=10, x=0.02, ha="left")
    return figure


def _with_interval(
    table: pl.DataFrame, value: str, low: str, high: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values (k,) and how far their intervals reach to both sides (2, k); nought where there is no interval."""
    values, lows, highs = (table[name].cast(pl.Float64).to_numpy() for name in (value, low, high))
    return values, np.nan_to_num(np.abs(np.stack([values - lows, highs - values])))


def _write_counts(axes: Axes, confusion: NDArray[np.integer], shares: NDArray[np.float64]) -> None:
    for true, predicted in np.argwhere(confusion > 0).tolist():
        colour = "white" if shares[true, predicted] > 0.5 else "black"
        count = f"{confusion[true, predicted]:,}"
        axes.text(predicted, true, count, ha="center", va="center", color=colour, fontsize=8)
