"""The order in which training takes windows."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


class WindowOrder:
    """An endless order of windows, shuffled anew each time that all have been taken.

    Args:
        count: Windows.
        seed: Of the order, and of nothing else.
    """

    def __init__(self, count: int, *seed: int) -> None:
        self._count = count
        self._pass = lru_cache(maxsize=2)(
            lambda number: np.random.default_rng([*seed, number]).permutation(count).astype(np.int64)
        )

    def rows(self, start: int, count: int) -> Rows:
        """Windows at places `start` and after it."""
        places = np.arange(start, start + count)
        rounds, within = np.divmod(places, self._count)
        parts = [self._pass(number)[within[rounds == number]] for number in np.unique(rounds).tolist()]
        return np.concatenate([*parts, np.zeros(0, np.int64)])
