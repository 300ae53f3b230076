"""The two curves of a score: receiver operating characteristic, and precision by recall."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = tuple[NDArray[np.float64], NDArray[np.float64]]


def _hits(score: NDArray[np.floating], label: NDArray[np.integer]) -> Points:
    """False and true positives at every threshold that some score has, from the highest down."""
    order = np.argsort(-score, kind="stable")
    score, positive = score[order], label[order] == 1
    last_of_ties = np.flatnonzero(np.r_[score[1:] != score[:-1], True])
    true = np.cumsum(positive)[last_of_ties].astype(np.float64)
    return last_of_ties + 1 - true, true


def roc_points(score: NDArray[np.floating], label: NDArray[np.integer]) -> Points | None:
    """False positive and true positive rate at every threshold, from (0, 0) to (1, 1).

    Args:
        score: (n,) finite, larger for class 1.
        label: (n,) 1 or 0.

    Returns:
        Two arrays (t,), or None where a class is absent.
    """
    positives = int((label == 1).sum())
    if positives in (0, len(label)):
        return None
    false, true = _hits(score, label)
    return np.r_[0.0, false / (len(label) - positives)], np.r_[0.0, true / positives]


def precision_recall_points(score: NDArray[np.floating], label: NDArray[np.integer]) -> Points | None:
    """Recall and precision at every threshold, from the highest score down.

    Args:
        score: (n,) finite, larger for class 1.
        label: (n,) 1 or 0.

    Returns:
        Two arrays (t,), or None where a class is absent.
    """
    positives = int((label == 1).sum())
    if positives in (0, len(label)):
        return None
    false, true = _hits(score, label)
    return true / positives, true / (true + false)


def thinned(points: Points, most: int = 300) -> Points:
    """At most so many of a curve's points, evenly along its length, both ends kept.

    Args:
        points: Two arrays (t,) over the unit square.
        most: How many.
    """
    x, y = points
    if len(x) <= most:
        return points
    along = np.r_[0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))]
    keep = np.unique(np.searchsorted(along, np.linspace(0, along[-1], most)).clip(0, len(x) - 1))
    return x[keep], y[keep]
