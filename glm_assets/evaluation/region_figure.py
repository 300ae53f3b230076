"""Every substitution of a region at once: position by base, a heat map in as many lines as it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from glm_assets.evaluation.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

BASES: Final = "ACGT"

_LINES: Final = 12
_CELLS: Final = (60, 120, 200)
"""Cells of a line, the fewest that suffice."""

_UNKNOWN: Final = "#D9D9D9"
_CLIP: Final = 99.5
"""Percentile at which colours end, so that one value does not make all others pale."""


@dataclass(frozen=True)
class RegionGrid:
    """A score of every substitution in a region.

    Attributes:
        chrom: Chromosome.
        start: 1-based position of the first base.
        values: (4, bases) by `BASES`; NaN for the reference's own base and where there is no score.
        reference: (bases,) row of the reference's base in `values`; -1 where it is none of the four.
    """

    chrom: str
    start: int
    values: NDArray[np.float64]
    reference: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        chrom: str,
        start: int,
        bases: int,
        index: NDArray[np.int64],
        ref: list[str],
        alt: list[str],
        score: NDArray[np.float64],
    ) -> RegionGrid:
        """Lay rows out.

        Args:
            chrom: Chromosome.
            start: 1-based position of the region's first base.
            bases: Of the region.
            index: (n,) place of each substitution in the region.
            ref: n reference bases.
            alt: n substituted bases.
            score: (n,) its scores, NaN where there is none.
        """
        values = np.full((len(BASES), bases), np.nan)
        reference = np.full(bases, -1)
        values[[BASES.index(base) for base in alt], index] = score
        reference[index] = [BASES.index(base) for base in ref]
        return cls(chrom, start, values, reference)


def plot_region(grid: RegionGrid, title: str, colours: Literal["distance", "ratio"]) -> Figure:
    """Heat map of a region.

    The reference's bases have a dot, grey has no score. A region that is too long for a cell a base shows in each
    cell the highest distance or the lowest ratio of several positions.

    Args:
        grid: The scores.
        title: What they are.
        colours: From 0 up, or in both directions from 0, where negative is red.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    bases = grid.values.shape[1]
    merged = -(-bases // (_LINES * _CELLS[-1]))
    values = _extremes(grid.values, merged, most=colours == "distance")
    cells = next((cells for cells in _CELLS if values.shape[1] <= _LINES * cells), _CELLS[-1])
    lines = -(-values.shape[1] // cells)
    figure = new_figure((9.2, 0.9 + 0.72 * lines))
    panels = figure.subplots(lines, 1, squeeze=False)[:, 0]
    low, high = _limits(values, colours)
    shading = ScalarMappable(Normalize(low, high), _palette(colours))
    for line, axes in enumerate(panels):
        own = np.full((len(BASES), cells), np.nan)
        part = values[:, line * cells : (line + 1) * cells]
        own[:, : part.shape[1]] = part
        axes.imshow(own, aspect="auto", interpolation="nearest", cmap=shading.cmap, norm=shading.norm)
        axes.axvspan(part.shape[1] - 0.5, cells - 0.5, color="white")
        if merged == 1:
            reference = grid.reference[line * cells : (line + 1) * cells]
            at = np.flatnonzero(reference >= 0)
            axes.plot(at, reference[at], ".", color="black", markersize=3.2 if cells <= _CELLS[1] else 1.6)
        axes.set_yticks(range(len(BASES)), list(BASES), fontsize=7)
        ticks = np.arange(0, part.shape[1], cells // 60 * 10)
        first = grid.start + line * cells * merged
        axes.set_xticks(ticks, [f"{first + tick * merged:,}" for tick in ticks.tolist()], fontsize=6)
        axes.tick_params(length=2, pad=1)
        axes.spines[:].set_visible(False)
    each = (
        "a base"
        if merged == 1
        else f"{merged} bases, the {'highest' if colours == 'distance' else 'lowest'} of them"
    )
    figure.suptitle(
        f"{title}, chromosome {grid.chrom}:{grid.start:,}-{grid.start + bases - 1:,}\n"
        f"a column is {each}{'; dots: the reference' if merged == 1 else ''}; grey: no score",
        fontsize=9,
    )
    bar = figure.colorbar(shading, ax=panels.tolist(), pad=0.01, aspect=30, extend="max" if low == 0 else "both")
    bar.ax.tick_params(labelsize=7)
    bar.formatter.set_powerlimits((-3, 3))  # pyright: ignore[reportAttributeAccessIssue]
    return figure


def _extremes(values: NDArray[np.float64], merged: int, *, most: bool) -> NDArray[np.float64]:
    """The largest or the smallest of every `merged` columns; NaN only where all of them are."""
    if merged == 1:
        return values
    columns = -(-values.shape[1] // merged)
    padded = np.full((len(values), columns * merged), np.nan)
    padded[:, : values.shape[1]] = values
    pick, none = (np.fmax, -np.inf) if most else (np.fmin, np.inf)
    found = pick.reduce(padded.reshape(len(values), columns, merged), axis=2, initial=none)
    return np.where(np.isinf(found), np.nan, found)


def _limits(values: NDArray[np.float64], colours: Literal["distance", "ratio"]) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if colours == "distance":
        return 0.0, float(np.percentile(finite, _CLIP)) if finite.any() else 1.0
    most = float(np.percentile(np.abs(finite), _CLIP)) if finite.any() else 1.0
    return -most, most


def _palette(colours: Literal["distance", "ratio"]) -> Colormap:
    from matplotlib import colormaps

    return colormaps["YlGnBu" if colours == "distance" else "RdBu"].with_extremes(bad=_UNKNOWN)
