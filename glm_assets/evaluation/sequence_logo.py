"""Sequence logos: how much each position of aligned sequences, or of a model's predictions, says, and for which base.

The height of a position is its information in bits, 2 less the entropy of the four bases (Schneider and Stephens 1990,
doi 10.1093/nar/18.20.6097), and each base's letter takes its share of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.figures import display_name, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BASES: Final = "ACGT"
COLOURS: Final = {"A": "#117733", "C": "#332288", "G": "#DDAA33", "T": "#CC3311"}
"""The usual colours of the four bases, in shades that colour-blind readers tell apart."""

_LINE: Final = 50
"""Positions in a line of the logo: more letters would be too narrow to read."""

_LINES: Final = 4
_BITS: Final = np.log2(len(BASES))


def base_counts(sequences: Sequence[str]) -> NDArray[np.int64]:
    """How often each base stands at each position.

    Args:
        sequences: Aligned at their first letter; shorter ones have nothing beyond their end. Case does not matter, and
            letters other than A, C, G and T are not counted.

    Returns:
        (positions, 4) in the order of `BASES`; as many positions as the longest has.
    """
    counts = np.zeros((max(map(len, sequences), default=0), len(BASES)), dtype=np.int64)
    for sequence in sequences:
        letters = np.frombuffer(sequence.upper().encode("ascii", "replace"), dtype=np.uint8)
        for column, base in enumerate(BASES):
            counts[: len(letters), column] += letters == ord(base)
    return counts


def information(counts: NDArray[np.integer], *, correct: bool = True) -> NDArray[np.float64]:
    """Heights of the letters of a logo.

    Args:
        counts: (positions, 4) how often each base stands there.
        correct: Take off what few sequences seem to say by chance, 3 / (2 ln 2 n) bits at n sequences; no position
            falls below nothing.

    Returns:
        (positions, 4) bits; zeros where nothing was counted.
    """
    total = counts.sum(axis=1, keepdims=True).astype(np.float64)
    shares = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    chance = np.divide(3 / (2 * np.log(2)), total, out=np.zeros_like(total), where=total > 0) if correct else 0.0
    return shares * np.maximum(0.0, np.where(total > 0, _bits(shares) - chance, 0.0))


def probability_information(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Heights of the letters of a logo of predictions, which need no correction.

    Args:
        probabilities: (positions, 4), each row summing to 1, as `base_probabilities` gives them.

    Returns:
        (positions, 4) bits.
    """
    shares = probabilities.astype(np.float64)
    return shares * np.maximum(0.0, _bits(shares))


def base_probabilities(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities of the four bases, given that it is one of them.

    Args:
        logits: (positions, 4), as a model gives them for A, C, G and T.

    Returns:
        (positions, 4), each row summing to 1.
    """
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True).astype(np.float64))
    return powers / powers.sum(axis=1, keepdims=True)


def plot_sequence_logo(sequences: Sequence[str], *, title: str = "", first: int = 1) -> Figure:
    """The logo of aligned sequences, corrected for how few they are.

    Args:
        sequences: At least one with a letter; the first 200 positions are drawn.
        title: Above the figure.
        first: Number of the first position.

    Raises:
        EvaluationError: There is nothing to draw.
    """
    counts = base_counts(sequences)
    said = f"{len(sequences):,} sequence{'s' * (len(sequences) != 1)}, small-sample correction"
    return plot_information(information(counts), title=title, note=said, first=first)


def plot_information(bits: NDArray[np.floating], *, title: str = "", note: str = "", first: int = 1) -> Figure:
    """A logo of given heights, in lines of 50 positions, 200 at most.

    Args:
        bits: (positions, 4) heights, at least one position.
        title: Above the figure.
        note: Below the title.
        first: Number of the first position.

    Raises:
        EvaluationError: There is no position.
    """
    if not len(bits):
        raise EvaluationError("a sequence logo of nothing", expected="at least one position")
    shown = bits[: _LINE * _LINES]
    lines = -(-len(shown) // _LINE)
    columns = min(_LINE, len(shown))
    figure = new_figure((max(4.2, 1.0 + 0.17 * columns), 0.8 + 1.25 * lines))
    tallest = max(0.1, float(shown.sum(axis=1).max()))
    panels = figure.subplots(lines, 1, squeeze=False)[:, 0]
    for number, axes in enumerate(panels):
        start = number * _LINE
        _draw_line(axes, shown[start : start + _LINE], first + start, columns, tallest)
        axes.set_ylabel("bits", fontsize=8)
    panels[-1].set_xlabel("position", fontsize=8)
    left = len(bits) - len(shown)
    more = f"first {len(shown)} of {len(bits):,} positions" if left else ""
    below = "; ".join(part for part in (note, more) if part)
    lines_of_title = [part for part in (display_name(title, 12 + columns + columns // 2), below) if part]
    figure.suptitle("\n".join(lines_of_title), fontsize=9)
    return figure


def _draw_line(axes: Axes, bits: NDArray[np.floating], first: int, columns: int, tallest: float) -> None:
    import logomaker
    import pandas as pd

    frame = pd.DataFrame(
        np.asarray(bits, dtype=np.float64), index=np.arange(len(bits)) + first, columns=list(BASES)
    )
    logomaker.Logo(frame, ax=axes, color_scheme=COLOURS, show_spines=False)
    axes.spines[["left", "bottom"]].set_visible(True)
    axes.set(xlim=(first - 0.6, first + columns - 0.4), ylim=(0, min(_BITS, 1.05 * tallest)))
    places = np.arange(first, first + len(bits))
    axes.set_xticks(places[(places % 10 == 0) | (places == first)] if len(places) > 20 else places)
    axes.tick_params(labelsize=7)


def _bits(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """(positions, 1) 2 less the entropy in bits."""
    logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    return _BITS + (shares * logs).sum(axis=1, keepdims=True)
