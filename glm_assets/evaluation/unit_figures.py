"""Figures of a genome's units and of which stretches train, choose and test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from glm_assets.evaluation.figures import (
    ACCENTS,
    BENIGN,
    CATEGORIES,
    NEUTRAL,
    display_name,
    log_edges,
    new_figure,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS: Final = {"train": BENIGN, "val": ACCENTS[1], "test": ACCENTS[0]}
_KINDS: Final[dict[str, str]] = dict(
    zip(("gene_with_regulatory", "gene_cluster", "gene_only", "regulatory"), CATEGORIES, strict=False)
)
_BINS: Final = 40
_MOST_CONTIGS: Final = 40


def plot_unit_lengths(units: pl.DataFrame) -> Figure:
    """Histogram of the units' lengths by type, and how many of each type there are by split.

    Args:
        units: `unit_type`, `length` and `split` (null: none), one row at least.
    """
    figure = new_figure((9.2, 3.4))
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    present = units["unit_type"].unique()
    kinds = [kind for kind in _KINDS if kind in present]
    edges = log_edges(units["length"].to_numpy().astype(float), _BINS)
    parts = [np.log10(units.filter(pl.col("unit_type") == kind)["length"].to_numpy()) for kind in kinds]
    left.hist(
        parts, edges, stacked=True, color=[_KINDS[kind] for kind in kinds], label=[_words(kind) for kind in kinds]
    )
    low, high = int(np.ceil(edges[0])), int(np.floor(edges[-1]))
    ticks = [exponent + step for exponent in range(low - 1, high + 1) for step in (0, np.log10(2), np.log10(5))]
    ticks = [tick for tick in ticks if edges[0] <= tick <= edges[-1]]
    left.set_xticks(ticks, [f"{round(10**tick):,}" for tick in ticks], fontsize=8)
    left.set(xlabel="bases of a unit", ylabel="units")
    left.legend(fontsize=8, frameon=False)
    tidy(left)
    places, done = np.arange(len(kinds)), np.zeros(len(kinds))
    for split, colour in {**_COLOURS, None: NEUTRAL}.items():
        rows = units.filter(pl.col("split").eq_missing(split))
        if rows.is_empty():
            continue
        counts = dict(rows["unit_type"].value_counts().iter_rows())
        widths = np.array([counts.get(kind, 0) for kind in kinds])
        right.barh(places, widths, 0.7, done, color=colour, label=split or "across splits")
        done += widths
    for place, total in zip(places, done, strict=True):
        right.annotate(
            f"{total:,.0f}", (total, place), (3, 0), textcoords="offset points", va="center", fontsize=8
        )
    right.set_yticks(places, [_words(kind) for kind in kinds], fontsize=8)
    right.invert_yaxis()
    right.margins(x=0.15)
    right.set_xlabel("units")
    right.legend(fontsize=8, frameon=False, loc="lower right")
    tidy(right, grid="x")
    median = units["length"].median()
    figure.suptitle(f"{units.height:,} units, median {median:,.0f} bases", fontsize=10)
    return figure


def plot_regions(regions: pl.DataFrame, lengths: Mapping[str, int]) -> Figure:
    """Each contig as a bar, coloured by what trains, chooses and tests; the longest 40 of them.

    Args:
        regions: `contig`, `start`, `end` and `split` of stretches.
        lengths: Bases of each contig.
    """
    longest = set(sorted(lengths, key=lambda name: -lengths[name])[:_MOST_CONTIGS])
    shown = [name for name in lengths if name in longest]
    unit, name = _scale(max(lengths.values()))
    figure = new_figure((7.6, max(1.8, 1.0 + 0.24 * len(shown))))
    axes = figure.subplots()
    axes.barh(range(len(shown)), [lengths[contig] / unit for contig in shown], 0.7, color="#dddddd")
    places = {contig: place for place, contig in enumerate(shown)}
    total = sum(lengths.values())
    for split, colour in _COLOURS.items():
        part = regions.filter(pl.col("split") == split)
        bases = int((part["end"] - part["start"]).sum())
        drawn = part.filter(pl.col("contig").is_in(shown))
        axes.barh(
            [places[contig] for contig in drawn["contig"]],
            ((drawn["end"] - drawn["start"]) / unit).to_numpy(),
            0.7,
            (drawn["start"] / unit).to_numpy(),
            color=colour,
            label=f"{split} ({bases / total:.0%} of the bases)",
        )
    axes.set_yticks(range(len(shown)), [display_name(contig) for contig in shown], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(f"{name} of the contig")
    tidy(axes, grid="x")
    figure.legend(loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    left = len(lengths) - len(shown)
    if left:
        axes.set_title(f"{left} shorter contigs left out", fontsize=9)
    return figure


def _words(kind: str) -> str:
    return display_name(kind.replace("_", " "))


def _scale(longest: int) -> tuple[int, str]:
    return next((size, name) for size, name in ((10**6, "Mb"), (10**3, "kb"), (1, "bases")) if longest >= size)
