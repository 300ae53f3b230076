"""Figures of what language models make of test sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.evaluation.figures import (
    ACCENTS,
    BENIGN,
    CATEGORIES,
    NEUTRAL,
    PATHOGENIC,
    display_name,
    new_figure,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS: Final = {"model": PATHOGENIC, "model_without_memory": BENIGN, "uniform": NEUTRAL}
_LINES: Final = ("-", "--", ":", "-.")


def plot_bits_per_base(table: pl.DataFrame, *, title: str = "Bits per base of test sequence") -> Figure:
    """Bits per base by species and predictor, with intervals; fewer are better, and 2 is an even guess.

    Args:
        table: A row per species and predictor: `species`, `predictor`, `value`, and `low` and `high`, null without an
            interval.
        title: Above the figure.
    """
    species = table["species"].unique(maintain_order=True).to_list()
    predictors = table["predictor"].unique(maintain_order=True).to_list()
    figure = new_figure((max(5.6, 2.4 + 1.5 * len(species)), 4.0))
    axes = figure.subplots()
    places = (np.arange(len(predictors)) - (len(predictors) - 1) / 2) * 0.8 / len(predictors)
    for predictor, place, colour in zip(predictors, places, _colours(predictors), strict=True):
        rows = table.filter(pl.col("predictor") == predictor)
        at = np.array([species.index(name) for name in rows["species"]]) + place
        values, low, high = (rows[name].to_numpy() for name in ("value", "low", "high"))
        reach = np.nan_to_num(np.stack([values - low, high - values])).clip(min=0)
        axes.errorbar(
            at,
            values,
            yerr=reach,
            fmt="s" if predictor.startswith("model") else "o",
            color=colour,
            markersize=6 if predictor.startswith("model") else 4,
            linewidth=1.2,
            label=predictor.replace("_", " "),
        )
    axes.set_xticks(
        range(len(species)), [display_name(name.replace("_", " "), 22) for name in species], fontsize=8
    )
    axes.set_xlim(-0.6, len(species) - 0.4)
    axes.set_ylabel("bits per base")
    tidy(axes)
    figure.legend(loc="outside right center", fontsize=8, frameon=False)
    figure.suptitle(display_name(title, 70), fontsize=10)
    return figure


def plot_bits_by_context(
    bits: Mapping[str, Mapping[str, NDArray[np.floating]]], *, title: str = "Bits per base by what was seen before"
) -> Figure:
    """Bits per base of tokens by how many tokens of their window came before them.

    Args:
        bits: By species (or whatever is told apart by colour) and by reading of the model, (C,) bits per base of the
            tokens that follow 1 to C tokens.
        title: Above the figure.
    """
    figure = new_figure((7.6, 3.6))
    axes = figure.subplots()
    for (name, readings), colour in zip(bits.items(), _cycled(len(bits)), strict=True):
        for (reading, values), line in zip(readings.items(), _LINES, strict=False):
            edges = _group_edges(len(values))
            means = [values[low - 1 : high - 1].mean() for low, high in pairwise(edges)]
            label = f"{name}, {reading}".replace("_", " ")
            axes.plot(edges[:-1], means, line, marker="o", markersize=3, color=colour, linewidth=1.2, label=label)
    axes.set_xscale("log")
    # Powers of ten would name two of the points.
    longest = max(len(values) for readings in bits.values() for values in readings.values())
    shown = _group_edges(longest)[:-1]
    axes.set_xticks(shown, [f"{edge:,}" for edge in shown.tolist()])
    axes.minorticks_off()
    axes.set_xlabel("tokens of the window before the token (means over groups that begin there)")
    axes.set_ylabel("bits per base")
    tidy(axes)
    figure.legend(loc="outside right center", fontsize=7, frameon=False)
    figure.suptitle(display_name(title, 70), fontsize=10)
    return figure


def _group_edges(count: int) -> NDArray[np.int64]:
    """Bounds, from 1 to count + 1, of at most eight groups that grow geometrically."""
    return np.unique(np.geomspace(1, count + 1, min(count, 8) + 1).astype(np.int64))


def _colours(predictors: Sequence[str]) -> list[str]:
    """Markov orders from light to dark, everything else by name."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    markov = [name for name in predictors if name.startswith("markov")]
    shades = dict(zip(markov, np.linspace(0.3, 0.95, len(markov)), strict=True))
    return [
        to_hex(colormaps["Greens"](shades[name])) if name in shades else _COLOURS.get(name, ACCENTS[1])
        for name in predictors
    ]


def _cycled(count: int) -> list[str]:
    return [CATEGORIES[number % len(CATEGORIES)] for number in range(count)]
