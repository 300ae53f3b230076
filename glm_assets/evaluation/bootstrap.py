"""Intervals by resampling loci: variants of one locus share a window, so they are no independent observations.

Every scorer is judged on the same resamples. The difference of two scorers is taken resample by resample, which
cancels what makes a resample easy or hard for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import EvaluationError

MIN_CLUSTERS: Final = 5
"""With fewer loci there is no interval: a random score's then lies above 0.5 up to half of the time."""

_PERCENTILES: Final = (2.5, 97.5)

_BLOCK: Final = 1 << 18
"""Numbers worked on at a time: a block of resamples stays in the processor's cache."""

_SPREAD: Final = 1e-10
"""A variance below this share of the mean square is the rounding of a resample that holds one value only."""


@dataclass(frozen=True)
class Estimate:
    """A figure and what it becomes in each resample.

    Attributes:
        value: The figure over all rows; NaN where it does not exist.
        draws: (resamples,) the figure in each; NaN where it does not exist there.
    """

    value: float
    draws: NDArray[np.float64]

    @property
    def resamples(self) -> int:
        """Resamples in which the figure exists."""
        return int(np.count_nonzero(~np.isnan(self.draws)))

    def trusted(self, clusters: float) -> Estimate:
        """The same, without resamples where there are effectively fewer than `MIN_CLUSTERS` clusters to resample."""
        return self if clusters >= MIN_CLUSTERS else Estimate(self.value, np.full_like(self.draws, np.nan))

    def interval(self) -> tuple[float, float]:
        """The central 95 % of the resamples in which the figure exists; NaN without any."""
        draws = self.draws[~np.isnan(self.draws)]
        if np.isnan(self.value) or not len(draws):
            return np.nan, np.nan
        low, high = np.percentile(draws, _PERCENTILES)
        return float(low), float(high)


def effective_clusters(cluster: NDArray[np.int64]) -> float:
    """How many equally large clusters tell as much: Kish's (sum of sizes)^2 / sum of squared sizes.

    One dense gene with nearly all rows and nine small loci count as hardly more than one.

    Args:
        cluster: (n,) cluster of each row, numbered from 0.
    """
    sizes = np.bincount(cluster).astype(np.float64)
    return float(sizes.sum() ** 2 / np.square(sizes).sum()) if len(cluster) else 0.0


def combine(function: Callable[..., NDArray[np.float64]], *estimates: Estimate) -> Estimate:
    """A figure made from others, resample by resample.

    Args:
        function: Of as many arrays as there are estimates; elementwise.
        estimates: From the same resamples.
    """
    values = function(*(np.float64(estimate.value) for estimate in estimates))
    return Estimate(float(values), function(*(estimate.draws for estimate in estimates)))


@dataclass(frozen=True)
class Resamples:
    """How often each cluster of rows is drawn in each resample.

    Attributes:
        cluster: (n,) cluster of each row, 0 to clusters - 1.
        counts: (resamples, clusters) how often each is drawn.
    """

    cluster: NDArray[np.int64]
    counts: NDArray[np.uint16]

    @classmethod
    def draw(cls, cluster: NDArray[np.int64], resamples: int, seed: int) -> Resamples:
        """Draw as many clusters as there are, with replacement, again and again.

        Args:
            cluster: (n,) cluster of each row, numbered from 0 without gaps.
            resamples: How many, at least 1.
            seed: Equal seeds give equal draws.

        Raises:
            EvaluationError: Fewer than one resample is asked for.
        """
        if resamples < 1:
            raise EvaluationError(f"{resamples} bootstrap resamples", expected="at least 1")
        clusters = int(cluster.max(initial=-1)) + 1
        return cls(cluster, draw_counts(np.random.default_rng(seed), clusters, resamples))

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums over each resample's rows.

        Args:
            values: (n, k) numbers.

        Returns:
            (resamples, k).
        """
        clusters = self.counts.shape[1]
        columns = [np.bincount(self.cluster, column, minlength=clusters) for column in values.T]
        return blockwise(self.counts, clusters, lambda counts: counts @ np.stack(columns, axis=1))

    def mean(self, values: NDArray[np.float64], rows: NDArray[np.bool_]) -> Estimate:
        """The mean of a number over some rows.

        Args:
            values: (n,) numbers, finite where `rows` is true.
            rows: (n,) which rows count.
        """
        sums = self.sums(np.stack([np.where(rows, values, 0.0), rows.astype(np.float64)], axis=1))
        value = float(values[rows].mean()) if rows.any() else np.nan
        return Estimate(value, ratio(sums[:, 0], sums[:, 1]))

    def pearson_by_group(
        self, x: NDArray[np.float64], y: NDArray[np.float64], group: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Mean over groups of the Pearson correlation within them, in each resample.

        A group counts as often as its rows are drawn in the mean: one whose cluster is drawn twice counts twice.
        Counting it once would leave a third of the variance out.

        Args:
            x: (n,) first variable.
            y: (n,) second variable.
            group: (n,) group of each row.

        Returns:
            (resamples,); groups in which x or y takes one value only are left out, NaN where none remains.
        """
        from scipy.sparse import csr_array

        _, group = np.unique(group, return_inverse=True)
        clusters, groups = self.counts.shape[1], int(group.max(initial=-1)) + 1
        x, y = _centred(x, group), _centred(y, group)
        size = np.bincount(group)
        moments = [
            csr_array((values, (group, self.cluster)), shape=(groups, clusters))
            for values in (np.ones_like(x), x, y, x * x, y * y, x * y)
        ]

        def correlations(counts: NDArray[np.float64]) -> NDArray[np.float64]:
            return _mean_correlation(size, *(moment @ counts.T for moment in moments))

        return blockwise(self.counts, max(6 * groups, clusters), correlations)


def draw_counts(generator: np.random.Generator, clusters: int, resamples: int) -> NDArray[np.uint16]:
    """(resamples, clusters) how often each cluster is drawn in the next resamples of a generator."""
    counts = np.empty((resamples, clusters), dtype=np.uint16)
    for row in counts:
        row[:] = np.bincount(generator.integers(0, clusters, clusters), minlength=clusters)
    return counts


def block_rows(size: int) -> int:
    """Resamples that are worked on at a time where each takes that many numbers."""
    return max(1, _BLOCK // max(size, 1))


def blockwise(
    counts: NDArray[np.uint16],
    size: int,
    function: Callable[..., NDArray[np.float64]],
    dtype: type[np.number] = np.float64,
) -> NDArray[np.float64]:
    """Apply a function to resamples a few at a time, so that memory stays bounded.

    Args:
        counts: (resamples, clusters) how often each cluster is drawn.
        size: Numbers that the function holds for each resample.
        function: Of some rows of `counts`, giving as many rows.
        dtype: Of the counts that it is given.

    Returns:
        All its rows.
    """
    return np.concatenate([function(block.astype(dtype, copy=False)) for block in _blocks(counts, size)])


def _blocks(counts: NDArray[np.uint16], size: int) -> Iterator[NDArray[np.uint16]]:
    step = block_rows(size)
    for start in range(0, len(counts), step):
        yield counts[start : start + step]


def ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quotients of two arrays of one shape, NaN over 0."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _centred(values: NDArray[np.float64], group: NDArray[np.int64]) -> NDArray[np.float64]:
    """Values less their group's mean, so that sums of squares lose no digits."""
    return values - (np.bincount(group, values) / np.bincount(group))[group]


def _mean_correlation(
    size: NDArray[np.int64],
    n: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    xx: NDArray[np.float64],
    yy: NDArray[np.float64],
    xy: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mean over groups of Pearson's r (k,) from their numbers of rows (groups,) and weighted sums (groups, k)."""
    safe = np.maximum(n, 1)
    variance_x, variance_y, covariance = xx - x * x / safe, yy - y * y / safe, xy - x * y / safe
    usable = (variance_x > _SPREAD * xx) & (variance_y > _SPREAD * yy)
    r = ratio(covariance, np.sqrt(np.where(usable, variance_x * variance_y, 0.0)))
    weight = np.where(usable, n / size[:, None], 0.0)
    return ratio((weight * np.where(usable, r, 0.0)).sum(axis=0), weight.sum(axis=0))
