"""Figures of sequences that models have drawn: what they consist of, and how long they are."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from glm_assets.evaluation.figures import display_name, new_figure, tidy
from glm_assets.evaluation.model_styles import model_colours, model_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_BARS: Final = 64
_NAMED_BARS: Final = 24
_BINS: Final = 30
_LINEAR_COUNTS: Final = 50
"""Beyond that a few short sequences beside many full ones would not be seen on a linear scale."""

_LINES: Final = ("--", ":", "-.", (0, (5, 1)))


def plot_gc_bars(
    table: pl.DataFrame, *, references: Mapping[str, float] | None = None, title: str = "", by: str = "model"
) -> Figure:
    """Share of G and C of each drawn sequence as a bar, with lines at what it is measured against.

    Of more than 64 sequences, as many of each model are chosen evenly; the title says so.

    Args:
        table: A row per sequence: `gc` (null without a base), `prompt_name`, `sample`, and what tells models apart.
        references: Share of G and C by name, such as `genome` and `prompts`.
        title: Above the figure.
        by: Column that tells models apart.
    """
    rows = table.filter(pl.col("gc").is_not_null())
    colours = model_colours(rows[by].unique(maintain_order=True).to_list())
    shown = _evenly(rows, by, _MOST_BARS)
    figure = new_figure((max(5.6, min(11.0, 2.0 + 0.24 * shown.height)), 3.9))
    axes = figure.subplots()
    start = 0
    for name, colour in colours.items():
        own, every = shown.filter(pl.col(by) == name), rows.filter(pl.col(by) == name)
        label = f"{model_title(name)} ({every.height:,}, mean {every['gc'].mean():.3f})"
        axes.bar(np.arange(start, start + own.height), own["gc"].to_list(), 0.8, color=colour, label=label)
        start += own.height
    for (name, share), line in zip((references or {}).items(), cycle(_LINES)):
        axes.axhline(share, color="black", linestyle=line, linewidth=1.1, label=f"{name} ({share:.3f})")
    if shown.height <= _NAMED_BARS:
        names = [
            f"{display_name(prompt, 18)} #{sample + 1}"
            for prompt, sample in shown.select(pl.col("prompt_name").fill_null("?"), "sample").iter_rows()
        ]
        axes.set_xticks(range(len(names)), names, fontsize=7, rotation=45, ha="right", rotation_mode="anchor")
    else:
        axes.set_xticks([])
        axes.set_xlabel("drawn sequences, by model, prompt and sample", fontsize=9)
    axes.set_ylim(0, min(1.0, 1.15 * max([0.1, *shown["gc"].to_list(), *(references or {}).values()])))
    axes.set_xlim(-0.8, max(5, shown.height) - 0.2)
    axes.set_ylabel("share of G and C")
    tidy(axes)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    left = rows.height - shown.height
    more = f" ({shown.height} of {rows.height:,} sequences shown)" if left else ""
    figure.suptitle(display_name(title or "GC of drawn sequences", 70) + more, fontsize=10)
    return figure


def plot_lengths(
    table: pl.DataFrame, *, asked: int | None = None, title: str = "", by: str = "model", unit: str = "bases"
) -> Figure:
    """Histograms of the lengths of drawn sequences, the models side by side.

    Args:
        table: A row per sequence: `length` and what tells models apart.
        asked: Length that was asked for: a shorter sequence ended by itself.
        title: Above the figure.
        by: Column that tells models apart.
        unit: Of the lengths.
    """
    from matplotlib.ticker import MaxNLocator

    figure = new_figure((6.4, 3.3))
    axes = figure.subplots()
    lengths = table["length"].to_numpy()
    low, high = (int(lengths.min()), int(lengths.max())) if len(lengths) else (0, 1)
    edges = np.linspace(low - 0.5, high + 0.5, min(_BINS, high - low + 1) + 1)
    colours = model_colours(table[by].unique(maintain_order=True).to_list())
    width = np.diff(edges).min()
    for number, (name, colour) in enumerate(colours.items()):
        own = table.filter(pl.col(by) == name)["length"]
        counts, _ = np.histogram(own.to_numpy(), edges)
        part = 0.9 * width / len(colours)
        places = edges[:-1] + 0.05 * width + (number + 0.5) * part
        label = f"{model_title(name)} ({own.len():,}, median {own.median():,.0f})"
        axes.bar(places, counts, part, color=colour, label=label)
    if asked is not None:
        axes.axvline(asked, color="black", linestyle="--", linewidth=1, zorder=0, label=f"asked for ({asked:,})")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(low - max(3, 0.05 * (high - low)), high + max(3, 0.05 * (high - low)))
    if axes.dataLim.ymax > _LINEAR_COUNTS:
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(bottom=0)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel=f"length in {unit}", ylabel="sequences")
    tidy(axes)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.suptitle(display_name(title or "lengths of drawn sequences", 80), fontsize=10)
    return figure


def _evenly(rows: pl.DataFrame, by: str, most: int) -> pl.DataFrame:
    """At most so many rows, as many of each value of a column, evenly over its rows and in their order."""
    parts = rows.partition_by(by, maintain_order=True)
    room = most // max(1, len(parts))
    chosen = [
        part if part.height <= room else part[np.linspace(0, part.height - 1, room).round().astype(int).tolist()]
        for part in parts
    ]
    return pl.concat(chosen) if chosen else rows
