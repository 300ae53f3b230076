"""Figures of how much there is of each class: reads by split, and their lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from glm_assets.evaluation.figures import ACCENTS, BENIGN, NEUTRAL, display_name, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS: Final = {"train": BENIGN, "val": ACCENTS[1], "test": ACCENTS[0]}
_MOST_CLASSES: Final = 40
_BINS: Final = 30


def plot_class_counts(table: pl.DataFrame, *, title: str = "") -> Figure:
    """Bars of the reads of each class, by split.

    Args:
        table: A row per class and split: `label`, `split`, `reads` and `genomes`.
        title: Above the figure.
    """
    order = table.group_by("label").agg(pl.col("reads").sum()).sort(["reads", "label"], descending=[True, False])
    labels = order["label"].head(_MOST_CLASSES).to_list()
    figure = new_figure((7.2, max(2.2, 1.1 + 0.3 * len(labels))))
    axes = figure.subplots()
    places, done = np.arange(len(labels)), np.zeros(len(labels))
    for split, colour in _COLOURS.items():
        part = table.filter(pl.col("split") == split)
        reads, genomes = (dict(part.select("label", name).iter_rows()) for name in ("reads", "genomes"))
        widths = np.array([reads.get(label, 0) for label in labels])
        bars = axes.barh(places, widths, 0.72, done, color=colour, label=split)
        axes.bar_label(
            bars, [f"{genomes.get(label, 0)}" if width else "" for label, width in zip(labels, widths, strict=True)],
            label_type="center", fontsize=7, color="white",
        )  # fmt: skip
        done += widths
    axes.set_yticks(places, [display_name(label) for label in labels], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("reads; in the bars the source genomes they are from")
    tidy(axes, grid="x")
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    left = order.height - len(labels)
    figure.suptitle(
        (title or "reads by class and split") + (f" ({left} classes left out)" if left else ""), fontsize=10
    )
    return figure


def plot_read_lengths(labels: pl.Series, lengths: pl.Series) -> Figure:
    """Histogram of the reads' lengths, and how many reads each class has.

    Args:
        labels: (n,) of the reads, n >= 1.
        lengths: (n,) bases.
    """
    figure = new_figure((8.4, 3.2))
    left, right = figure.subplots(1, 2)
    bases = lengths.to_numpy()
    shortest, longest = int(bases.min()), int(bases.max())
    edges = np.linspace(shortest - 0.5, longest + 0.5, min(_BINS, longest - shortest + 1) + 1)
    left.xaxis.get_major_locator().set_params(integer=True)
    left.hist(bases, edges.tolist(), color=NEUTRAL)
    left.set(xlabel="bases of a read", ylabel="reads")
    tidy(left)
    _draw_counts(right, labels)
    right.set_xlabel("reads")
    said = f"{shortest} bases" if shortest == longest else f"{shortest} to {longest} bases"
    figure.suptitle(f"{len(lengths):,} reads of {said}", fontsize=10)
    return figure


def plot_sample_counts(phenotypes: pl.Series, genes: pl.Series, *, of: int) -> Figure:
    """Bars of the samples of each phenotype, and of how many genes the samples have a sequence.

    Args:
        phenotypes: (n,) of the samples, n >= 1.
        genes: (n,) genes of each that have a sequence.
        of: Genes there are.
    """
    figure = new_figure((8.4, 3.2))
    left, right = figure.subplots(1, 2)
    _draw_counts(left, phenotypes)
    left.set_xlabel("samples")
    fewest = int(genes.to_numpy().min())
    edges = np.linspace(fewest - 0.5, of + 0.5, min(_BINS, of - fewest + 1) + 1)
    right.hist(genes.to_numpy(), edges.tolist(), color=NEUTRAL)
    right.xaxis.get_major_locator().set_params(integer=True)
    right.set(xlabel=f"genes with a sequence, of {of:,}", ylabel="samples")
    tidy(right)
    figure.suptitle(f"{len(phenotypes):,} samples of {phenotypes.n_unique():,} phenotypes", fontsize=10)
    return figure


def _draw_counts(axes: Axes, labels: pl.Series) -> None:
    """Bars of how often each label is there, the commonest on top."""
    counts = labels.value_counts().sort(["count", labels.name], descending=[True, False]).head(_MOST_CLASSES)
    places = np.arange(counts.height)
    bars = axes.barh(places, counts["count"].to_list(), 0.72, color=BENIGN)
    axes.bar_label(bars, fmt="{:,.0f}", fontsize=7, padding=2)
    axes.set_yticks(places, [display_name(label) for label in counts[labels.name]], fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    tidy(axes, grid="x")
