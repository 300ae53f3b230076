"""Figures of how scores are distributed: histogram, violin, and the highest and lowest of a ranking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.figures import BENIGN, NEUTRAL, PATHOGENIC, display_name, new_figure, tidy
from glm_assets.evaluation.model_styles import model_colours, model_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS: Final = 50
_MOST_VIOLINS: Final = 12
_VIOLIN_POINTS: Final = 5000
_FEWEST_OF_A_DENSITY: Final = 3
_APART: Final = 6
"""With a range of all groups so many times that of the widest one, each has a scale of its own."""

_OWN_SCALES: Final = " (scales differ)"


def plot_score_histogram(
    scores: Mapping[str, NDArray[np.floating]], *, name: str = "score", title: str = ""
) -> Figure:
    """A histogram of 50 bins for each model, with its mean and median, n, sd, smallest and largest.

    Models share a scale, unless they are so far apart that nothing would be seen of either.

    Args:
        scores: (n,) of each model; at least one.
        name: Of the score, below the figure.
        title: Above it.

    Raises:
        EvaluationError: There is no score at all.
    """
    from matplotlib.ticker import MaxNLocator

    drawn, apart = _of_some(scores), _far_apart(scores)
    edges = None if apart else _edges(np.concatenate(list(drawn.values())))
    figure = new_figure((7.2, 0.9 + 1.9 * len(drawn) + 0.25 * apart * (len(drawn) - 1)))
    panels = figure.subplots(len(drawn), 1, sharex=not apart, squeeze=False)[:, 0]
    for (model, colour), axes in zip(model_colours(drawn).items(), panels, strict=True):
        own = drawn[model].astype(np.float64)
        axes.hist(own, _edges(own) if edges is None else edges, color=colour, alpha=0.75)
        axes.axvline(own.mean(), color=PATHOGENIC, linewidth=1.4, label=f"mean {own.mean():#.4g}")
        axes.axvline(
            np.median(own), color="black", linestyle="--", linewidth=1.2, label=f"median {np.median(own):#.4g}"
        )
        handles, labels = axes.get_legend_handles_labels()
        box = f"n {len(own):,}\nsd {_sd(own):#.3g}\nmin {own.min():#.4g}\nmax {own.max():#.4g}"
        axes.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.005, 1.03), fontsize=8, frameon=False)
        axes.text(1.03, 0.55, box, transform=axes.transAxes, fontsize=8, va="top", linespacing=1.35)
        axes.set_title(model_title(model), fontsize=9, loc="left")
        axes.set_ylabel("sequences", fontsize=9)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        axes.locator_params(axis="x", nbins=7)
        tidy(axes)
    panels[-1].set_xlabel(name)
    said = display_name(title or f"distribution of {name}", 80)
    figure.suptitle(said + (_OWN_SCALES if apart else ""), fontsize=10)
    return figure


def plot_score_violins(
    scores: Mapping[str, NDArray[np.floating]],
    *,
    name: str = "score",
    title: str = "",
    colours: Mapping[str, str] | None = None,
) -> Figure:
    """A violin for each group with lines at its quartiles; of fewer than three scores the dots alone.

    Args:
        scores: (n,) of each group, such as a model or a type of unit; the first twelve are drawn.
        name: Of the score.
        title: Above the figure.
        colours: Of the groups by name; those of the models by default.

    Raises:
        EvaluationError: There is no score at all.
    """
    drawn = _of_some(scores)
    shown = dict(list(drawn.items())[:_MOST_VIOLINS])
    palette = {**model_colours(shown), **(colours or {})}
    apart = _far_apart(shown)
    figure = new_figure((max(4.2, 1.6 + (1.6 if apart else 1.1) * len(shown)), 3.8))
    panels = figure.subplots(1, len(shown) if apart else 1, squeeze=False)[0]
    for place, (group, values) in enumerate(shown.items()):
        axes = panels[place if apart else 0]
        _draw_violin(axes, place, values.astype(np.float64), palette[group])
    labels = [f"{display_name(model_title(group), 22)}\n({len(values):,})" for group, values in shown.items()]
    turn = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if len(shown) > 6 else {}
    for place, axes in enumerate(panels):
        own = [place] if apart else range(len(shown))
        axes.set_xticks(own, [labels[number] for number in own], fontsize=8, **turn)
        axes.set_xlim(min(own) - 0.6, max(own) + 0.6)
        tidy(axes)
    panels[0].set_ylabel(name)
    left = len(drawn) - len(shown)
    more = f" ({left} groups left out)" if left else ""
    said = display_name(title or f"distribution of {name}", 60) + more + (_OWN_SCALES if apart else "")
    figure.suptitle(f"{said}\nlines: first quartile, median, third quartile", fontsize=9)
    return figure


def _draw_violin(axes: Axes, place: int, own: NDArray[np.float64], colour: str) -> None:
    sample = _some(own)
    if len(own) >= _FEWEST_OF_A_DENSITY and np.ptp(sample) > 0:
        parts = axes.violinplot([sample], [place], widths=0.8, showextrema=False)
        for body in parts["bodies"]:  # pyright: ignore[reportGeneralTypeIssues]
            body.set(facecolor=colour, alpha=0.6, edgecolor="none")
    else:
        axes.plot(np.full(len(own), place), own, "o", color=colour, markersize=4)
    quartiles = np.percentile(own, [25, 50, 75])
    for value, half, width in zip(quartiles, (0.2, 0.3, 0.2), (1.0, 1.8, 1.0), strict=True):
        axes.hlines(value, place - half, place + half, color="black", linewidth=width)


def plot_ranking(
    ranked: pl.DataFrame, *, score: str, label: str, most: int = 15, name: str = "score", title: str = ""
) -> Figure:
    """The highest and the lowest of a ranking as dots, highest on top.

    Args:
        ranked: As `score_distribution.ranking` gives it.
        score: Column of the score.
        label: Column of what is ranked.
        most: How many from each end; all where there are no more than twice as many.
        name: Of the score.
        title: Above the figure.
    """
    all_shown = ranked.height <= 2 * most
    shown = ranked if all_shown else pl.concat([ranked.head(most), ranked.tail(most)])
    gap = np.where(np.arange(shown.height) < most, 0, 1) * (not all_shown)
    places = np.arange(shown.height) + gap
    figure = new_figure((7.0, max(2.2, 1.1 + 0.2 * shown.height)))
    axes = figure.subplots()
    values = shown[score].to_numpy()
    colours = [BENIGN if all_shown or place < most else NEUTRAL for place in range(shown.height)]
    axes.hlines(places, values.min() if len(values) else 0, values, color="#cccccc", linewidth=1)
    axes.scatter(values, places, color=colours, s=22, zorder=3)
    labels = [f"{rank:,}. {display_name(str(what), 34)}" for rank, what in shown.select("rank", label).iter_rows()]
    axes.set_yticks(places, labels, fontsize=7)
    axes.set_ylim(len(places) + (not all_shown) - 0.4, -0.6)
    axes.set_xlabel(name)
    axes.locator_params(axis="x", nbins=6)
    tidy(axes, grid="x")
    part = f"all {ranked.height:,}" if all_shown else f"highest and lowest {most} of {ranked.height:,}"
    figure.suptitle(display_name(f"{title or 'ranking'}: {part}", 90), fontsize=10)
    return figure


def _of_some(scores: Mapping[str, NDArray[np.floating]]) -> dict[str, NDArray[np.floating]]:
    """Groups that have a score."""
    found = {name: values for name, values in scores.items() if len(values)}
    if not found:
        raise EvaluationError("no score to draw", expected="at least one")
    return found


def _far_apart(scores: Mapping[str, NDArray[np.floating]]) -> bool:
    """Whether groups are so far from each other that on one scale none of them would have a shape."""
    ends = [(float(values.min()), float(values.max())) for values in scores.values() if len(values)]
    widest = max(high - low for low, high in ends)
    return len(ends) > 1 and max(high for _, high in ends) - min(low for low, _ in ends) > _APART * widest > 0


def _edges(values: NDArray[np.floating]) -> list[float]:
    """51 edges of the bins from the smallest to the largest value."""
    low, high = float(values.min()), float(values.max())
    return (
        np.linspace(low, high, BINS + 1).tolist()
        if high > low
        else np.linspace(low - 0.5, low + 0.5, BINS + 1).tolist()
    )


def _some(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most 5,000 of the values at even ranks, ends included: a density of more takes long and looks the same."""
    if len(values) <= _VIOLIN_POINTS:
        return values
    return np.sort(values)[np.linspace(0, len(values) - 1, _VIOLIN_POINTS).round().astype(int)]


def _sd(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")
