"""AUROC and average precision of one order of rows under many resamples: sorted once, counted again each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from glm_assets.evaluation.bootstrap import Estimate, Resamples, blockwise, effective_clusters, ratio


@dataclass(frozen=True)
class Ranking:
    """Rows by falling score: sorted once, judged under any number of resamples.

    Attributes:
        row: (r,) rows by falling score.
        run: (r,) number of the run of equal scores that each belongs to, ascending.
        positive: (r,) whether each is pathogenic.
        cluster: (r,) their clusters.
    """

    row: NDArray[np.int64]
    run: NDArray[np.int64]
    positive: NDArray[np.bool_]
    cluster: NDArray[np.int64]

    @classmethod
    def of(cls, score: NDArray[np.float64], label: NDArray[np.integer], cluster: NDArray[np.int64]) -> Ranking:
        """Sort rows; those without a score (NaN) are left out.

        Args:
            score: (n,) larger for class 1.
            label: (n,) 1 or 0.
            cluster: (n,) cluster of each row.
        """
        row = np.argsort(-score, kind="stable")[: int(np.count_nonzero(~np.isnan(score)))]
        run = np.cumsum(np.diff(score[row], prepend=np.nan) != 0)
        return cls(row, run, label[row] == 1, cluster[row])

    @property
    def pathogenic(self) -> int:
        """Rows of class 1."""
        return int(np.count_nonzero(self.positive))

    @property
    def benign(self) -> int:
        """Rows of class 0."""
        return len(self.row) - self.pathogenic

    @property
    def loci(self) -> int:
        """Clusters of the rows."""
        return len(np.unique(self.cluster))

    @property
    def effective_loci(self) -> float:
        """Equally large clusters that would tell as much."""
        return effective_clusters(self.cluster)

    def within(self, rows: NDArray[np.bool_]) -> Ranking:
        """The same order of some rows.

        Args:
            rows: (n,) which of all rows remain.
        """
        keep = rows[self.row]
        return Ranking(self.row[keep], self.run[keep], self.positive[keep], self.cluster[keep])

    def auroc(self, resamples: Resamples) -> Estimate:
        """Area under the ROC curve, ties half; it exists where both classes do."""
        return self._estimate(resamples, self._auroc)

    def auprc(self, resamples: Resamples) -> Estimate:
        """Average precision as scikit-learn defines it; it exists where both classes do."""
        return self._estimate(resamples, self._auprc)

    def average_precision(self) -> float:
        """The value of `auprc` alone."""
        clusters = int(self.cluster.max(initial=-1)) + 1
        return float(self._auprc(np.ones((1, clusters), dtype=np.uint16))[0])

    def _estimate(
        self, resamples: Resamples, measure: Callable[[NDArray[np.uint16]], NDArray[np.float64]]
    ) -> Estimate:
        whole = measure(np.ones((1, resamples.counts.shape[1]), dtype=np.uint16))
        draws = blockwise(resamples.counts, len(self.row), measure, dtype=np.uint16)
        return Estimate(float(whole[0]), draws)

    def _auroc(self, counts: NDArray[np.uint16]) -> NDArray[np.float64]:
        """AUROC (k,) under k resamples (k, clusters)."""
        places = self._places
        positives, negatives = places.weights(counts)
        passed = _running(negatives)
        above = np.take(passed, places.negatives, axis=1)
        if places.tied:
            above += np.take(passed, places.negatives_before, axis=1)
            above /= 2
        pairs = positives.sum(axis=1, dtype=np.float64) * passed[:, -1]
        return ratio(pairs - np.einsum("ij,ij->i", positives, above), pairs)

    def _auprc(self, counts: NDArray[np.uint16]) -> NDArray[np.float64]:
        """Average precision (k,) under k resamples (k, clusters)."""
        places = self._places
        positives, negatives = places.weights(counts)
        hits, alarms = _running(positives), _running(negatives)
        true = np.take(hits, places.positives, axis=1)
        chosen = np.take(alarms, places.negatives, axis=1)
        chosen += true
        true /= np.maximum(chosen, 1, out=chosen)
        return ratio(np.einsum("ij,ij->i", positives, true), np.where(alarms[:, -1] > 0, hits[:, -1], 0.0))

    @cached_property
    def _places(self) -> _Places:
        positive, negative = self.run[self.positive], self.run[~self.positive]
        before, with_ties = (np.searchsorted(negative, positive, side) for side in ("left", "right"))
        return _Places(
            positive_cluster=self.cluster[self.positive],
            negative_cluster=self.cluster[~self.positive],
            positives=np.searchsorted(positive, positive, side="right"),
            negatives=with_ties,
            negatives_before=before,
            tied=not np.array_equal(before, with_ties),
        )


@dataclass(frozen=True)
class _Places:
    """Where p positives stand among all positives and q negatives, by falling score.

    `positives` and `negatives` (p,) count those that score at least as high as each, `negatives_before` those that
    score higher; `tied` says whether the latter two differ.
    """

    positive_cluster: NDArray[np.int64]
    negative_cluster: NDArray[np.int64]
    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]
    negatives_before: NDArray[np.int64]
    tied: bool

    def weights(self, counts: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """How often the positives (k, p) and the negatives (k, q) are drawn in k resamples."""
        return np.take(counts, self.positive_cluster, axis=1), np.take(counts, self.negative_cluster, axis=1)


def _running(weights: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Sums (k, r + 1) of the first 0 to r weights; whole numbers, so exact."""
    sums = np.zeros((len(weights), weights.shape[1] + 1))
    np.cumsum(weights, axis=1, dtype=np.float64, out=sums[:, 1:])
    return sums
