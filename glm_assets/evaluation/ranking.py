"""How well numbers rank one class above another, and the simplest model that makes such numbers of vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def auroc(score: NDArray[np.floating], label: NDArray[np.integer]) -> float | None:
    """Area under the receiver operating characteristic: how often a positive scores above a negative.

    Ties count half (Mann and Whitney's U).

    Args:
        score: (n,) larger for class 1.
        label: (n,) 1 or 0.

    Returns:
        In [0, 1]; None where a class is absent.
    """
    positives, negatives = int((label == 1).sum()), int((label == 0).sum())
    if not positives or not negatives:
        return None
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((rank[label == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def ridge_scores(
    train: NDArray[np.floating],
    label: NDArray[np.integer],
    others: NDArray[np.floating],
    *,
    strength: float = 1.0,
) -> NDArray[np.float64]:
    """Scores of a ridge regression on labels, from standardised features.

    The dual form is solved, so that the cost depends on the rows and not on the width.

    Args:
        train: (n, d) features to fit.
        label: (n,) 1 or 0.
        others: (m, d) features to score.
        strength: Of the penalty, relative to the mean diagonal of the features' Gram matrix.

    Returns:
        (m,) scores, larger for class 1.
    """
    centre, scale = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    scale[scale == 0] = 1.0
    x, z = (train - centre) / scale, (others - centre) / scale
    target = label.astype(np.float64) - label.mean()
    gram = x @ x.T
    gram[np.diag_indices_from(gram)] += strength * max(float(np.trace(gram)) / max(1, len(gram)), 1e-12)
    return z @ (x.T @ np.linalg.solve(gram, target))
