"""Figures of the study's tables; those of any regression are in `evaluation.regression_figures`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from glm_assets.evaluation.figures import BENIGN, CATEGORIES, NEUTRAL, display_name, new_figure, tidy
from glm_assets.studies.impact.consequences import SCORES
from glm_assets.studies.impact.facts import NONE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS = 40
_SPLITS = ("train", "val", "test")


def plot_targets(examples: pl.DataFrame, title: str) -> Figure:
    """How many examples of each impact there are in each split, as they are learned.

    A read with the reference's allele has none, whatever impact the variant at its place would have.

    Args:
        examples: With `impact`, `target` and `split`.
        title: Above the figure.
    """
    learned = pl.when(pl.col("target") == 0).then(pl.lit("none")).otherwise("impact").alias("impact")
    return plot_impacts(examples.with_columns(learned), "split", title)


def plot_impacts(rows: pl.DataFrame, by: str, title: str) -> Figure:
    """How many rows there are of each impact, side by side for the values of another column, on a logarithmic axis.

    Args:
        rows: With `impact` and the other column.
        by: Name of that column, such as `split`.
        title: Above the figure.
    """
    figure = new_figure((6.4, 3.2))
    axes = figure.subplots()
    impacts = [*SCORES, NONE] if rows["impact"].null_count() else [*SCORES]
    known = rows.select(pl.col("impact").fill_null(NONE), pl.col(by).cast(pl.String))
    values = sorted(
        known[by].unique().to_list(), key=lambda value: (value in _SPLITS and _SPLITS.index(value), value)
    )
    width = 0.8 / max(1, len(values))
    for number, (value, colour) in enumerate(zip(values, CATEGORIES, strict=False)):
        counts = [known.filter((pl.col(by) == value) & (pl.col("impact") == impact)).height for impact in impacts]
        places = np.arange(len(impacts)) - 0.4 + width * (number + 0.5)
        axes.bar(places, counts, width, color=colour, label=f"{by} {value} ({sum(counts):,})")
    axes.set_xticks(
        range(len(impacts)), [name if name == NONE else f"{name} ({SCORES[name]:g})" for name in impacts]
    )
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(0, 2 * max(1, axes.dataLim.ymax))
    axes.set_ylabel("rows")
    tidy(axes)
    figure.suptitle(f"{display_name(title, 70)}: {rows.height:,} by impact", fontsize=10)
    if values:
        figure.legend(loc="outside lower center", ncols=len(values), fontsize=8, frameon=False)
    return figure


def plot_alignments(summary: pl.DataFrame, title: str) -> Figure:
    """Histograms of the mapping qualities and of the lengths of reads.

    Args:
        summary: Rows of `impact_individual_alignments`.
        title: Above the figure.
    """
    figure = new_figure((8.0, 3.0))
    panels = figure.subplots(1, 2)
    for axes, name in zip(panels, ("mapping_quality", "length"), strict=True):
        own = summary.filter(pl.col("figure") == name, pl.col("value").is_not_null())
        _histogram(axes, own["value"].to_numpy(), own["reads"].to_numpy(), name.replace("_", " "))
    figure.suptitle(display_name(title, 70), fontsize=10)
    return figure


def plot_mapping(examples: pl.DataFrame, title: str) -> Figure:
    """Histograms of the mapping qualities of examples and of where in them the variant lies.

    Args:
        examples: Rows of `impact_read_examples`.
        title: Above the figure.
    """
    figure = new_figure((8.0, 3.0))
    panels = figure.subplots(1, 2)
    placed = examples.filter(pl.col("variant_offset") >= 0)
    for axes, rows, column in zip(panels, (examples, placed), ("mapping_quality", "variant_offset"), strict=True):
        counts = rows[column].value_counts()
        _histogram(axes, counts[column].to_numpy(), counts["count"].to_numpy(), column.replace("_", " "))
    figure.suptitle(display_name(title, 70), fontsize=10)
    return figure


def plot_predictions(scored: pl.DataFrame, column: str) -> Figure:
    """Histograms of predicted impacts, of reads and of variants.

    Args:
        scored: Rows of `impact_predictions`.
        column: Of the score.
    """
    figure = new_figure()
    axes = figure.subplots()
    edges = np.linspace(0, 10, 21).tolist()
    for kind, colour in (("read", BENIGN), ("variant", CATEGORIES[1])):
        values = scored.filter(kind=kind)[column].drop_nulls().to_numpy()
        if values.size:
            axes.hist(values, edges, color=colour, alpha=0.55, label=f"{kind}s ({values.size:,})")
    if axes.patches:
        axes.legend(fontsize=8, frameon=False)
    axes.set(xlabel="predicted impact", ylabel="rows")
    tidy(axes)
    return figure


def _histogram(axes: Axes, values: np.ndarray, weights: np.ndarray, name: str) -> None:
    if values.size:
        axes.hist(values, _BINS, weights=weights, color=NEUTRAL)
    axes.locator_params(axis="x", integer=True, min_n_ticks=1)
    axes.set(xlabel=name, ylabel="reads")
    tidy(axes)
