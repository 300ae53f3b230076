"""Scales of the page's charts: from values to positions, and which values get a tick."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glm_assets.evaluation.report.numbers import SUPERSCRIPT, decimal

_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Axis:
    """One direction of a chart.

    Attributes:
        low: Value at its start.
        high: Value at its end.
        label: Written beside it.
        log: Whether positions follow the logarithm.
        ticks: Marked values and what is written there.
    """

    low: float
    high: float
    label: str
    log: bool = False
    ticks: tuple[tuple[float, str], ...] = ()

    def place(self, values: ArrayLike) -> NDArray[np.float64]:
        """Shares of the axis's length: 0 at its start, 1 at its end; values beyond are moved to the border."""
        low, high, x = self.low, self.high, np.asarray(values, dtype=np.float64)
        if self.log:
            low, high = math.log(low), math.log(high)
            x = np.log(np.maximum(x, self.low))
        return np.clip((x - low) / (high - low), 0.0, 1.0)


def linear_axis(low: float, high: float, label: str, *, ticks: int = 5, whole: bool = False) -> Axis:
    """An axis whose ticks are round numbers.

    Args:
        low: Smallest value shown.
        high: Largest; a little is added where both are the same.
        label: Written beside it.
        ticks: About how many.
        whole: Whether only whole numbers have a meaning.
    """
    if high - low < 1e-12:
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    raw = (high - low) / max(1, ticks)
    raw = max(raw, 1.0) if whole else raw
    scale = 10 ** math.floor(math.log10(raw))
    nice = next(nice for nice in _NICE if nice * scale >= raw * (1 - 1e-9) and not (whole and nice == 2.5))
    step = nice * scale
    values = np.arange(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1) * step
    digits = max(0, -math.floor(math.log10(step) + 1e-9) + (nice == 2.5))
    return Axis(low, high, label, ticks=tuple((float(v), decimal(float(v), digits)) for v in values))


def log_axis(low: float, high: float, label: str) -> Axis:
    """An axis over whole decades with a tick at each, or at every second or third of many.

    Args:
        low: Smallest value shown, positive.
        high: Largest.
        label: Written beside it.
    """
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    last = max(last, first + 1)
    every = max(1, math.ceil((last - first) / 5))
    ticks = tuple((10.0**p, f"10{str(p).translate(SUPERSCRIPT)}") for p in range(first, last + 1, every))
    return Axis(10.0**first, 10.0**last, label, log=True, ticks=ticks)


def doubling_axis(values: Sequence[int], label: str) -> Axis:
    """A logarithmic axis with a tick at every given value.

    Args:
        values: Positive, at least one.
        label: Written beside it.
    """
    low, high = min(values), max(values)
    return Axis(low / 1.25, high * 1.25, label, log=True, ticks=tuple((float(v), str(v)) for v in sorted(values)))
