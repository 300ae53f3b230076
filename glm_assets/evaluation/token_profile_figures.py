"""Figures of what a model predicts along a sequence: the logits of the four bases, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.figures import NEUTRAL, display_name, new_figure, tidy
from glm_assets.evaluation.model_styles import model_colours, model_title
from glm_assets.evaluation.sequence_logo import BASES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINE: Final = 100
_LINES: Final = 6
_LARGEST_PERCENTILE: Final = 99.5


def plot_logit_map(
    logits: NDArray[np.floating], sequence: str, *, title: str = "", first: int = 1, positions: int = 200
) -> Figure:
    """Heat map of the logits of A, C, G and T at each position, with the base that stands there marked.

    A constant added to all logits of a position changes nothing that the model says, so their mean is taken off.

    Args:
        logits: (L, 4) that predict each base of the sequence.
        sequence: Those L bases; one that is no A, C, G or T gets no mark.
        title: Above the figure.
        first: Number of the first position.
        positions: How many are drawn, in lines of 100; 600 at most.

    Raises:
        EvaluationError: There is no position, or not as many logits as bases.
    """
    if not len(logits) or len(logits) != len(sequence):
        raise EvaluationError(
            f"a heat map of {len(logits):,} rows of logits for {len(sequence):,} bases",
            expected="a row for each of at least one base",
        )
    shown = logits[: min(positions, _LINE * _LINES)].astype(np.float64)
    shown = shown - shown.mean(axis=1, keepdims=True)
    lines, columns = -(-len(shown) // _LINE), min(_LINE, len(shown))
    largest = max(1e-6, float(np.percentile(np.abs(shown), _LARGEST_PERCENTILE)))
    figure = new_figure((max(4.6, 2.0 + 0.085 * columns), 0.9 + 0.85 * lines))
    panels, images = figure.subplots(lines, 1, squeeze=False)[:, 0], []
    for number, axes in enumerate(panels):
        start = number * _LINE
        own = shown[start : start + _LINE]
        extent = (first + start - 0.5, first + start + len(own) - 0.5, len(BASES) - 0.5, -0.5)
        colours = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
        images.append(axes.imshow(own.T, aspect="auto", extent=extent, interpolation="nearest", **colours))
        rows = np.array([BASES.find(base) for base in sequence[start : start + len(own)].upper()])
        places = np.flatnonzero(rows >= 0)
        axes.plot(places + first + start, rows[places], "o", color="black", markersize=2.2, markeredgewidth=0)
        axes.set_xlim(first + start - 0.5, first + start + columns - 0.5)
        axes.set_yticks(range(len(BASES)), list(BASES), fontsize=7)
        axes.tick_params(axis="x", labelsize=7)
        axes.spines[:].set_visible(False)
    panels[-1].set_xlabel("position; dot: the base that stands there", fontsize=8)
    bar = figure.colorbar(images[0], ax=panels, extend="both", pad=0.01)
    bar.ax.tick_params(labelsize=7)
    bar.set_label("logit less\nthe mean of four", fontsize=7)
    left = len(logits) - len(shown)
    more = f" (first {len(shown)} of {len(logits):,} positions)" if left else ""
    figure.suptitle(display_name(title or "logits of the four bases", 90) + more, fontsize=9)
    return figure


def plot_entropy(
    entropy: Mapping[str, NDArray[np.floating]],
    *,
    title: str = "",
    first: int = 1,
    window: int | None = None,
) -> Figure:
    """Entropy along a sequence, position by position and as a running mean; 2 bits are a guess among four bases.

    Args:
        entropy: (L,) bits of each model; at least one of at least one position.
        title: Above the figure.
        first: Number of the first position.
        window: Positions of the running mean; by default about a fiftieth of the sequence, 5 at least.

    Raises:
        EvaluationError: There is no position.
    """
    longest = max(map(len, entropy.values()), default=0)
    if not longest:
        raise EvaluationError("an entropy track of nothing", expected="at least one position")
    window = window or max(5, longest // 50)
    figure = new_figure((8.6, 3.2))
    axes = figure.subplots()
    axes.axhline(2, color=NEUTRAL, linestyle=":", linewidth=1)
    for name, colour in model_colours(entropy).items():
        values = entropy[name].astype(np.float64)
        places = np.arange(len(values)) + first
        axes.plot(places, values, color=colour, linewidth=0.5, alpha=0.35)
        label = f"{model_title(name)} (mean {values.mean():.3f} bits)"
        axes.plot(places, running_mean(values, window), color=colour, linewidth=1.6, label=label)
    axes.set(xlim=(first - 0.5, first + longest - 0.5), ylim=(0, 2.08))
    axes.set(xlabel=f"position; thick: mean of {min(window, longest)} positions", ylabel="entropy in bits")
    tidy(axes)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.suptitle(display_name(title or "entropy of the four bases", 90), fontsize=10)
    return figure


def running_mean(values: NDArray[np.floating], window: int) -> NDArray[np.float64]:
    """Mean of the values around each; at the ends of those that there are.

    Args:
        values: (n,).
        window: How many, at least 1.

    Returns:
        (n,).
    """
    sums = np.concatenate([[0.0], np.cumsum(values.astype(np.float64))])
    places = np.arange(len(values))
    start = np.maximum(0, places - (window - 1) // 2)
    end = np.minimum(len(values), places + window // 2 + 1)
    return (sums[end] - sums[start]) / (end - start)
