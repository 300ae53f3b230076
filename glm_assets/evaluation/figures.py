"""What all figures share: the palette, the size and how they are saved. Each figure's content lives in its own room."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by colour-blind readers and in grey print.
PATHOGENIC: Final = "#D55E00"
BENIGN: Final = "#0072B2"
NEUTRAL: Final = "#7F7F7F"
ACCENTS: Final = ("#009E73", "#E69F00", "#56B4E9", "#CC79A7")

# Paul Tol's muted palette: told apart by colour-blind readers, and unlike the colours of the two classes.
CATEGORIES: Final = (
    "#332288",
    "#CC6677",
    "#117733",
    "#AA4499",
    "#999933",
    "#44AA99",
    "#882255",
    "#88CCEE",
    "#DDCC77",
)
"""Colours of things without an order."""

CLASSES: Final = ((0, "benign", BENIGN), (1, "pathogenic", PATHOGENIC))
"""Label, name and colour."""

SIZE: Final = (6.4, 3.2)

# Sharp on a normal screen and small enough for Dagster's metadata.
_DPI = 90


def new_figure(size: tuple[float, float] = SIZE) -> Figure:
    """An empty figure that lays itself out and needs no display.

    Args:
        size: Width and height in inches.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def log_edges(values: NDArray[np.floating], bins: int) -> list[float]:
    """Edges of equal bins over the decimal logarithm of values.

    Args:
        values: (n,) positive, n >= 1.
        bins: How many.
    """
    logs = np.log10(values)
    return np.linspace(logs.min(), logs.max() + 1e-6, bins + 1).tolist()


def tidy(axes: Axes, *, grid: Literal["x", "y", "both"] = "y") -> None:
    """Take two sides of the frame away and draw a faint grid behind the content.

    Args:
        axes: Of any figure.
        grid: Lines at the ticks of which axis.
    """
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def display_name(name: str, longest: int = 28) -> str:
    """A name from a file as matplotlib can show it.

    Args:
        name: Of anything; a dollar sign in it would be taken for mathematics.
        longest: Characters that there is room for; the rest is cut off.
    """
    shown = name if len(name) <= longest else f"{name[: longest - 1]}…"
    return shown.replace("$", r"\$")


def save_figure(figure: Figure, path: Path) -> None:
    """Save a figure as PNG, without the creation time, so that equal figures have equal bytes."""
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})
