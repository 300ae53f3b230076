"""Pearson's and Spearman's correlation of weighted rows, and what they become in resamples of clusters of rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from glm_assets.evaluation.bootstrap import Estimate, Resamples


def pearson(x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Pearson's r of rows that occur `weight` (n,) times; NaN where x (n,) or y (n,) does not vary."""
    drawn = weight > 0
    if not drawn.any() or np.ptp(x[drawn]) == 0 or np.ptp(y[drawn]) == 0:
        return np.nan
    x, y = x - np.average(x, weights=weight), y - np.average(y, weights=weight)
    return float((weight * x * y).sum() / np.sqrt((weight * x * x).sum() * (weight * y * y).sum()))


def correlations(
    x: NDArray[np.float64], y: NDArray[np.float64], resamples: Resamples
) -> tuple[Estimate, Estimate]:
    """Pearson's r and Spearman's rank correlation of two variables, each NaN where one of them does not vary.

    Args:
        x: (n,) finite numbers.
        y: (n,) finite numbers.
        resamples: Of the clusters of these rows.
    """
    x_place, y_place = (np.unique(values, return_inverse=True)[1] for values in (x, y))
    return (
        row_estimate(lambda weight: pearson(x, y, weight), resamples),
        row_estimate(lambda weight: pearson(_ranks(x_place, weight), _ranks(y_place, weight), weight), resamples),
    )


def row_estimate(figure: Callable[[NDArray[np.float64]], float], resamples: Resamples) -> Estimate:
    """A figure over all rows and in each resample.

    Args:
        figure: Of the (n,) times that each row occurs.
        resamples: Of the clusters of the n rows.
    """
    drawn = (counts.astype(np.float64)[resamples.cluster] for counts in resamples.counts)
    value = figure(np.ones(len(resamples.cluster)))
    return Estimate(value, np.array([figure(weight) for weight in drawn]))


def _ranks(place: NDArray[np.int64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean rank of each row among rows that occur `weight` times.

    Args:
        place: (n,) number of each row's value among the distinct values in ascending order.
        weight: (n,).
    """
    size = np.bincount(place, weight)
    return (np.cumsum(size) - (size - 1) / 2)[place]
