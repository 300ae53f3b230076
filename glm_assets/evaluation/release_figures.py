"""The figure of two releases: how many alleles changed and how, between which labels, in which genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from glm_assets.evaluation.figures import ACCENTS, BENIGN, NEUTRAL, PATHOGENIC, new_figure
from glm_assets.variants.release_diff import FLAGS, count_changes, label_transitions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GENES: Final = 12
_LONGEST_GENE: Final = 14
_KINDS: Final = {"added": ACCENTS[0], "removed": NEUTRAL, "moved": ACCENTS[3], "changed": ACCENTS[1]}
_FLAG_NAMES: Final = dict(zip(FLAGS, ("CLNSIG", "CLNREVSTAT", "stars", "label"), strict=True))


def plot_release_diff(diff: pl.DataFrame, before: str, after: str) -> Figure:
    """Bars of the changes by kind, of the labels that changed, and of the genes with most changes.

    Args:
        diff: As `glm_assets.variants.release_diff.compare_releases` gives it.
        before: Date of the earlier release.
        after: Date of the later one.
    """
    figure = new_figure((9.6, 3.4))
    figure.suptitle(f"ClinVar {after} against {before}: {diff.height:,} alleles differ", fontsize=10)
    kinds, labels, genes = figure.subplots(1, 3, width_ratios=(1, 1, 1.1))
    _plot_kinds(kinds, diff)
    _plot_labels(labels, diff)
    _plot_genes(genes, diff)
    for axes in (kinds, labels, genes):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        axes.invert_yaxis()
        longest = max((bar.get_x() + bar.get_width() for bar in axes.patches), default=0)  # pyright: ignore
        axes.set_xlim(0, 1.2 * max(1, longest))
        axes.locator_params(axis="x", nbins=4, integer=True)
    return figure


def _plot_kinds(axes: Axes, diff: pl.DataFrame) -> None:
    counts = count_changes(diff)
    names = [_FLAG_NAMES.get(name, name) for name in counts]
    colours = [_KINDS.get(name, ACCENTS[2]) for name in counts]
    bars = axes.barh(names, list(counts.values()), color=colours)
    axes.bar_label(bars, fmt="{:,.0f}", fontsize=7, padding=2)
    axes.set_title("what changed; blue: in which field", fontsize=9)


def _plot_labels(axes: Axes, diff: pl.DataFrame) -> None:
    found = label_transitions(diff)
    axes.set_title(f"{sum(found.values()):,} labels changed", fontsize=9)
    if not found:
        axes.set_axis_off()
        return
    towards = {"pathogenic": PATHOGENIC, "benign": BENIGN}
    colours = [towards.get(name.rpartition(" to ")[2], NEUTRAL) for name in found]
    bars = axes.barh([name.replace(" to ", "\nto ") for name in found], list(found.values()), color=colours)
    axes.bar_label(bars, fmt="{:,.0f}", fontsize=7, padding=2)


def _plot_genes(axes: Axes, diff: pl.DataFrame) -> None:
    counts = diff.select(pl.col("gene").fill_null("no gene"), "change").group_by("gene", "change").len()
    order = counts.group_by("gene").agg(pl.col("len").sum()).sort(["len", "gene"], descending=[True, False])
    top = order["gene"].head(_GENES).to_list()
    axes.set_title(f"genes with most changes, of {order.height:,}", fontsize=9)
    if not top:
        axes.set_axis_off()
        return
    places, done = range(len(top)), [0] * len(top)
    for kind, colour in _KINDS.items():
        of_kind = dict(counts.filter(change=kind).select("gene", "len").iter_rows())
        widths = [of_kind.get(gene, 0) for gene in top]
        if any(widths):
            axes.barh(places, widths, left=done, color=colour, label=kind)
        done = [start + width for start, width in zip(done, widths, strict=True)]
    # A symbol comes from the file: a dollar sign in it would be taken for mathematics.
    axes.set_yticks(places, [gene[:_LONGEST_GENE].replace("$", r"\$") for gene in top])
    axes.legend(frameon=False, fontsize=7, loc="lower right")
