"""Byte-pair merges over many chunks of text at once, in numpy.

In each round every chunk merges the pair of lowest rank that it has, everywhere that it has it, as the textbook's
algorithm does; chunks know nothing of each other. A round costs the same few array operations whatever the number of
chunks, so thousands of reads are merged in as many rounds as the one with most different pairs needs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_NEVER = np.iinfo(np.int32).max


class Merger:
    """Merges by a fixed list of pairs.

    Args:
        merges: Pairs of ids in the order of their rank.
        first: Id of the token that the first pair makes; the next one makes the next.
    """

    def __init__(self, merges: Sequence[tuple[int, int]], first: int) -> None:
        self._first = first
        self._between = first + len(merges)  # an id that no pair has, which ends each chunk
        pairs = np.array(merges, np.int64).reshape(-1, 2)
        keys = self._keys(pairs[:, 0], pairs[:, 1])
        order = np.argsort(keys)
        # One entry more than there are pairs, so that whatever is looked for finds a place.
        self._sorted_keys = np.append(keys[order], np.iinfo(np.int64).max)
        self._sorted_ranks = np.append(order, _NEVER).astype(np.int32)

    def merge(self, tokens: NDArray[np.integer], lengths: NDArray[np.integer]) -> tuple[NDArray[np.int32], ...]:
        """Merge what can be merged.

        Args:
            tokens: (N,) ids of all chunks, one chunk after the other.
            lengths: (n,) ids in each chunk, none of them zero.

        Returns:
            (M,) ids of all chunks, and (n,) ids in each.
        """
        if not len(tokens):
            return tokens.astype(np.int32), np.zeros(len(lengths), np.int32)
        chunk = np.repeat(np.arange(len(lengths)), lengths)
        flat = np.full(len(tokens) + len(lengths), self._between, np.int32)
        flat[np.arange(len(tokens)) + chunk] = tokens
        sizes = np.asarray(lengths, np.int64) + 1
        ranks = self._ranks(flat, np.arange(len(flat)))
        while (found := self._lowest(ranks, sizes)).size:
            flat, ranks, sizes = self._apply(flat, ranks, sizes, found)
        return flat[flat != self._between], (sizes - 1).astype(np.int32)

    def _lowest(self, ranks: NDArray[np.int32], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Left places of the pairs to merge now; of overlapping ones (AAA) every second, from the left."""
        starts = np.cumsum(sizes) - sizes
        lowest = np.repeat(np.minimum.reduceat(ranks, starts), sizes)
        found = np.flatnonzero((ranks == lowest) & (ranks != _NEVER))
        opens = np.ones(len(found), bool)
        opens[1:] = np.diff(found) != 1
        index = np.arange(len(found))
        run = np.maximum.accumulate(np.where(opens, index, 0))
        return found[(index - run) % 2 == 0]

    def _apply(
        self, flat: NDArray[np.int32], ranks: NDArray[np.int32], sizes: NDArray[np.int64], found: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
        flat[found] = self._first + ranks[found]
        keep = np.ones(len(flat), bool)
        keep[found + 1] = False
        chunk = np.searchsorted(np.cumsum(sizes), found, side="right")
        flat, ranks = flat[keep], ranks[keep]
        places = found - np.arange(len(found))  # each merge to the left has moved it by one
        # The place before the first one is the last end of a chunk: a pair over it has no rank either.
        touched = np.concatenate([places, places - 1])
        ranks[touched] = self._ranks(flat, touched)
        return flat, ranks, sizes - np.bincount(chunk, minlength=len(sizes))

    def _ranks(self, flat: NDArray[np.int32], places: NDArray[np.int64]) -> NDArray[np.int32]:
        """Ranks of the pairs that begin at some places."""
        keys = self._keys(flat[places].astype(np.int64), flat[(places + 1) % len(flat)].astype(np.int64))
        at = np.searchsorted(self._sorted_keys, keys)
        return np.where(self._sorted_keys[at] == keys, self._sorted_ranks[at], _NEVER)

    def _keys(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
        return left * (self._between + 1) + right
