"""Figures of what a genome is like: its genes, its codons, its repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from glm_assets.evaluation.figures import ACCENTS, BENIGN, CATEGORIES, NEUTRAL, display_name, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROWS_OF_CODONS: Final = 4
_MOST_CLASSES: Final = 12


def plot_gene_structure(
    boxes: Mapping[str, Sequence[float]], summary: Sequence[tuple[str, str]], *, left_out: int
) -> Figure:
    """A table of the genome's size and genes, and box plots of their parts.

    Args:
        boxes: Values by what they are of, such as `gene length`; none of an empty one is drawn, and that is said.
        summary: Rows of the table: what, and how much.
        left_out: Values beyond the plots' limits.
    """
    figure = new_figure((9.6, 3.4))
    table, *axes = figure.subplots(1, 1 + len(boxes), width_ratios=[1.9, *[1.0] * len(boxes)])
    table.axis("off")
    drawn = table.table(cellText=list(map(list, summary)), loc="center", cellLoc="left", edges="horizontal")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(8)
    drawn.auto_set_column_width([0, 1])
    drawn.scale(1, 1.25)
    for place, (name, values) in zip(axes, boxes.items(), strict=True):
        _box(place, name, values)
    figure.suptitle(
        "genes" + (f" ({left_out:,} values beyond the limits are left out)" if left_out else ""), fontsize=10
    )
    return figure


def _box(axes: Axes, name: str, values: Sequence[float]) -> None:
    axes.set_title(name, fontsize=8)
    if not len(values):
        _say_missing(axes, "none in the annotation")
        return
    axes.boxplot(
        [values], widths=0.6, showfliers=False, patch_artist=True,
        boxprops={"facecolor": ACCENTS[2], "edgecolor": BENIGN}, medianprops={"color": "black"},
    )  # fmt: skip
    axes.set_xticks([1], [f"n = {len(values):,}"], fontsize=8)
    tidy(axes)


def plot_codon_usage(usage: pl.DataFrame) -> Figure:
    """The relative usage of each codon beside its synonyms.

    Args:
        usage: As `codon_usage.relative_usage` gives it; a codon without a value is grey.
    """
    figure = new_figure((9.6, 2.9))
    axes = figure.subplots()
    ordered = usage.sort("amino_acid", "codon")
    width = -(-ordered.height // _ROWS_OF_CODONS)
    values = np.full(_ROWS_OF_CODONS * width, np.nan)
    values[: ordered.height] = ordered["rscu"].to_numpy()
    colours = axes.imshow(
        np.ma.masked_invalid(values.reshape(_ROWS_OF_CODONS, width)), cmap="PuOr_r", vmin=0, vmax=2, aspect="auto"
    )
    axes.set_facecolor("#dddddd")
    for place, (codon, amino_acid, value) in enumerate(ordered.select("codon", "amino_acid", "rscu").iter_rows()):
        said = "-" if value is None else f"{value:.2f}"
        strong = value is not None and abs(value - 1) > 0.75
        axes.text(
            place % width, place // width, f"{amino_acid} {codon}\n{said}", ha="center", va="center", fontsize=7,
            color="white" if strong else "black",
        )  # fmt: skip
    axes.set(xticks=[], yticks=[])
    figure.colorbar(colours, ax=axes, label="RSCU", extend="max")
    figure.suptitle("codon usage: 1 is without preference, * stops", fontsize=10)
    return figure


def plot_repeats(microsatellites: pl.DataFrame, shares: Mapping[str, float | None], genome_bases: int) -> Figure:
    """Microsatellites by the length of their motif, and the shares of the genome that repeats take.

    Args:
        microsatellites: A row per kind: `name` and `count`.
        shares: Share of the genome by class; None where the data do not say it.
        genome_bases: All of the genome's bases.
    """
    figure = new_figure((9.6, 3.2))
    left, right = figure.subplots(1, 2)
    bars = left.bar(microsatellites["name"].to_list(), microsatellites["count"].to_list(), 0.7, color=BENIGN)
    left.bar_label(bars, fmt="{:,.0f}", fontsize=7)
    left.set(ylabel="microsatellites", xlabel="by bases of the motif")
    left.margins(y=0.12)
    tidy(left)
    _stack(right, shares)
    figure.suptitle(f"repeats in {genome_bases / 1e6:,.2f} million bases", fontsize=10)
    return figure


def _stack(axes: Axes, shares: Mapping[str, float | None]) -> None:
    known = {name: share for name, share in shares.items() if share is not None}
    if not known:
        _say_missing(axes, "the annotation has no classes of repeats, and the genome is not soft-masked")
        return
    done = 0.0
    for number, (name, share) in enumerate(sorted(known.items(), key=lambda item: -item[1])[:_MOST_CLASSES]):
        colour = CATEGORIES[number % len(CATEGORIES)]
        axes.barh([0], [share], 0.5, done, color=colour, label=f"{display_name(name)} {share:.1%}")
        done += share
    if done <= 1:
        axes.barh([0], [1 - done], 0.5, done, color="#eeeeee", label=f"the rest {1 - done:.1%}")
    else:
        axes.set_title("classes overlap: their shares add up to more than the genome", fontsize=8)
    axes.set(xlim=(0, max(1.0, done)), ylim=(-1.2, 0.6), yticks=[], xlabel="share of the bases")
    axes.legend(loc="lower center", ncols=2, fontsize=7, frameon=False)
    tidy(axes, grid="x")


def plot_domains(domains: pl.DataFrame) -> Figure:
    """The commonest protein domains of the annotation, or that it has none.

    Args:
        domains: A row per domain: `name` and `count`.
    """
    figure = new_figure((6.4, 3.0))
    axes = figure.subplots()
    if domains.is_empty():
        _say_missing(axes, "the annotation has no protein domains")
        return figure
    top = domains.sort(["count", "name"], descending=[True, False]).head(_MOST_CLASSES)
    places = np.arange(top.height)
    axes.barh(places, top["count"].to_list(), 0.7, color=BENIGN)
    axes.set_yticks(places, [display_name(name) for name in top["name"]], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("features")
    tidy(axes, grid="x")
    return figure


def _say_missing(axes: Axes, what: str) -> None:
    axes.axis("off")
    axes.text(0.5, 0.5, f"missing: {what}", ha="center", va="center", fontsize=8, color=NEUTRAL, wrap=True)
