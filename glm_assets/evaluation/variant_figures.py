"""Figures of variants and windows: what became of a release's rows, where the labels lie, how far splits leak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.evaluation.figures import ACCENTS, BENIGN, NEUTRAL, PATHOGENIC, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LABELS: Final = (("pathogenic", 1, PATHOGENIC), ("benign", 0, BENIGN))
_KINDS: Final = ("snv", "ins", "del")
_SPLIT_COLOURS: Final = {"val": ACCENTS[0], "test": ACCENTS[1]}
_DENSITY_BINS: Final = 120
_OVERLAP_BINS: Final = {"none": 0.0, "to 25 %": 0.25, "to 50 %": 0.5, "to 75 %": 0.75, "to 100 %": 1.0}
"""Upper borders of the bins, included."""
_LEAKS: Final = {
    "a base": pl.col("overlap") > 0,
    "a gene": pl.col("shared_gene"),
    "the reference window": pl.col("duplicate_ref"),
    "the variant window": pl.col("duplicate_var"),
    "both windows": pl.col("duplicate_pair"),
}
_SEEN_BINS: Final = 20


def plot_variant_counts(variants: pl.DataFrame) -> Figure:
    """Bars of the kept variants by kind and label, and of the dropped rows by reason.

    Args:
        variants: `clinvar_variants` of one chromosome or several.
    """
    figure = new_figure((7.6, 3.2))
    kept_axes, dropped_axes = figure.subplots(1, 2, width_ratios=(1, 1.2))
    kept = variants.filter("keep")
    places = np.arange(len(_KINDS))
    for shift, (name, label, colour) in zip((-0.2, 0.2), _LABELS, strict=True):
        of_label = kept.filter(pl.col("label") == label)["kind"]
        counts = [int((of_label == kind).sum()) for kind in _KINDS]
        bars = kept_axes.bar(places + shift, counts, 0.4, color=colour, label=name)
        kept_axes.bar_label(bars, fmt="{:,.0f}", fontsize=7)
    kept_axes.set_xticks(places, _KINDS)
    kept_axes.set_title(f"{kept.height:,} kept", fontsize=10)
    kept_axes.legend(frameon=False, fontsize=8)

    dropped = variants["drop_reason"].drop_nulls().value_counts().sort("count", "drop_reason")
    bars = dropped_axes.barh(dropped["drop_reason"].to_list(), dropped["count"].to_list(), color=NEUTRAL)
    dropped_axes.bar_label(bars, fmt="{:,.0f}", fontsize=7, padding=2)
    dropped_axes.margins(x=0.15)
    dropped_axes.set_title(f"{variants.height - kept.height:,} dropped, by first reason", fontsize=10)
    _tidy(kept_axes, dropped_axes)
    return figure


def plot_window_density(windows: pl.DataFrame) -> Figure:
    """Histogram of variants along the chromosome: pathogenic upwards, benign downwards.

    Args:
        windows: `variant_windows` of one chromosome.
    """
    figure = new_figure()
    axes = figure.subplots()
    megabases = windows["pos"].to_numpy() / 1e6
    edges = np.histogram_bin_edges(megabases, bins=_DENSITY_BINS)
    tallest = 1
    for (name, label, colour), direction in zip(_LABELS, (1, -1), strict=True):
        counts, _ = np.histogram(megabases[windows["label"].to_numpy() == label], bins=edges)
        tallest = max(tallest, int(counts.max()))
        axes.stairs(direction * counts, edges, fill=True, color=colour, label=f"{name} ({counts.sum():,})")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_ylim(-1.15 * tallest, 1.15 * tallest)
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.set_xlabel(f"position on chromosome {', '.join(windows['chrom'].unique())} (Mb)")
    axes.set_ylabel(f"variants per {_bases(edges[1] - edges[0])}")
    axes.set_title(f"{windows.height:,} variants with windows, {windows['locus'].n_unique():,} loci", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    _tidy(axes)
    return figure


def plot_overlap(overlap: pl.DataFrame) -> Figure:
    """Bars of the share of val and test windows by how much of them train windows cover.

    Args:
        overlap: One row per held-out window, as `glm_assets.variants.leakage.measure_overlap` returns it.
    """
    figure = new_figure()
    axes = figure.subplots()
    places = np.arange(len(_OVERLAP_BINS))
    for shift, (split, colour) in zip((-0.2, 0.2), _SPLIT_COLOURS.items(), strict=True):
        shares = overlap.filter(pl.col("split") == split)["overlap"].to_numpy()
        counts = np.bincount(np.searchsorted(list(_OVERLAP_BINS.values()), shares), minlength=places.size)
        label = f"{split} ({shares.size:,} windows)"
        bars = axes.bar(places + shift, 100 * counts / max(1, shares.size), 0.4, color=colour, label=label)
        axes.bar_label(bars, fmt="{:.1f}", fontsize=7)
    axes.set_xticks(places, list(_OVERLAP_BINS))
    axes.set_ylim(0, 112)
    axes.set_xlabel("bases of the window that train windows cover")
    axes.set_ylabel("windows (%)")
    leaking = (overlap["overlap"] > 0).sum() / max(1, overlap.height)
    axes.set_title(f"{leaking:.1%} of the held-out windows share bases with train", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    _tidy(axes)
    return figure


def plot_leakage(leakage: pl.DataFrame) -> Figure:
    """Bars of the share of val and test rows that share something with train.

    Args:
        leakage: One row per held-out row, as `glm_assets.variants.leakage.measure_leakage` returns it.
    """
    figure = new_figure()
    axes = figure.subplots()
    places = np.arange(len(_LEAKS))
    for shift, (split, colour) in zip((-0.2, 0.2), _SPLIT_COLOURS.items(), strict=True):
        rows = leakage.filter(pl.col("split") == split)
        counts = np.array([rows.filter(leaks).height for leaks in _LEAKS.values()])
        bars = axes.barh(places + shift, 100 * counts / max(1, rows.height), 0.4, color=colour)
        bars.set_label(f"{split} ({rows.height:,} rows)")
        axes.bar_label(bars, [f"{count:,}" for count in counts], fontsize=7, padding=2)
    axes.set_yticks(places, list(_LEAKS))
    axes.invert_yaxis()
    axes.set_xlim(0, 112)
    axes.set_xlabel("rows (%) that share it with train; beside the bars their number")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    _tidy(axes)
    return figure


def plot_seen_sequences(shares: NDArray[np.float64], seen_share: float) -> Figure:
    """Histogram of the test sequences by how much of them train windows hold.

    Args:
        shares: (n,) share of each sequence's sketch, NaN where it has none.
        seen_share: From this share on a sequence counts as seen.
    """
    figure = new_figure()
    axes = figure.subplots()
    judged = shares[~np.isnan(shares)]
    counts, edges = np.histogram(judged, bins=_SEEN_BINS, range=(0, 1))
    axes.stairs(counts, edges, fill=True, color=ACCENTS[1])
    axes.axvline(seen_share, color="black", linewidth=0.8, linestyle="--")
    axes.set_xlabel("share of a test sequence's 32-mers that windows of train hold (sketch)")
    axes.set_ylabel("test sequences")
    seen = int((judged >= seen_share).sum())
    axes.set_title(f"{seen:,} of {judged.size:,} test sequences are seen to {seen_share:.0%} or more", fontsize=10)
    _tidy(axes)
    return figure


def _bases(megabases: float) -> str:
    bases = megabases * 1e6
    return f"{bases / 1e3:,.1f} kb" if bases >= 1000 else f"{bases:,.0f} bases"


def _tidy(*axes: Axes) -> None:
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.tick_params(labelsize=8)
