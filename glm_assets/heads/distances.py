"""Cosine distances of embedded pairs. Numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pair_distances(ref: NDArray[np.float32], delta: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine distance between each reference vector and its variant's.

    It is half the squared distance of the normalised vectors: 1 - cosine would round every distance below 6e-8 to
    nothing in float32.

    Args:
        ref: (n, dimension) reference vectors.
        delta: (n, dimension) differences variant - reference.

    Returns:
        (n,) float32 in [0, 2].
    """
    return unit_distances(_normalised(ref), _normalised(ref + delta))


def unit_distances(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.floating]:
    """Cosine distance between vectors of length 1, row by row.

    Args:
        first: (n, dimension).
        second: (n, dimension).

    Returns:
        (n,) in [0, 2], in the type of the vectors.
    """
    return 0.5 * np.square(first - second).sum(axis=1)


def _normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
