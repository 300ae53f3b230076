"""The figure of what samples consist of: a stacked bar each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from glm_assets.evaluation.figures import CATEGORIES, NEUTRAL, display_name, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SAMPLES: Final = 40


def plot_abundance(table: pl.DataFrame, *, title: str = "") -> Figure:
    """Share of each label in each sample; beyond nine labels, the rare ones are drawn as one.

    Args:
        table: A row per sample and label: `sample_id`, `label` and `reads` (how many were given the label, or the
            sum of their probabilities). Samples are drawn in order of name, the first 40 of them.
        title: Above the figure.
    """
    labels = table.group_by("label").agg(pl.col("reads").sum()).sort(["reads", "label"], descending=[True, False])
    named = labels["label"].head(len(CATEGORIES)).to_list()
    samples = table["sample_id"].unique().sort().to_list()
    shown = samples[:_SAMPLES]
    totals = dict(table.group_by("sample_id").agg(pl.col("reads").sum()).iter_rows())
    reads = {
        (sample, label): value for sample, label, value in table.select("sample_id", "label", "reads").iter_rows()
    }
    figure = new_figure((7.6, max(2.4, 1.2 + 0.3 * len(shown))))
    axes = figure.subplots()
    places, done = np.arange(len(shown)), np.zeros(len(shown))
    for label, colour in zip(named, CATEGORIES, strict=False):
        widths = np.array([reads.get((sample, label), 0) / max(totals[sample], 1e-12) for sample in shown])
        axes.barh(places, widths, 0.75, done, color=colour, label=display_name(label))
        done += widths
    others = labels.height - len(named)
    if others:
        axes.barh(places, np.maximum(1 - done, 0), 0.75, done, color=NEUTRAL, label=f"{others} rarer labels")
    axes.set_yticks(places, [f"{display_name(sample)} ({totals[sample]:,.0f})" for sample in shown], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the sample's reads; in brackets how many")
    tidy(axes, grid="x")
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    left = len(samples) - len(shown)
    figure.suptitle(
        (title or "abundance by sample") + (f" ({left} samples left out)" if left else ""), fontsize=10
    )
    return figure
