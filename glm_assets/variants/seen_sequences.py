"""How much of the contest's test sequences lies in the windows of train, wherever it lies in them.

By content, with the sketches of `genome.sketch`: a test sequence that is a train window shifted by some bases, or
with some bases replaced, is found. One of which every 32nd base is replaced is not, nor the other strand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.genome.sketch import SEPARATOR, Hashes, sketch

SEEN_SHARE: Final = 0.5
"""A test sequence counts as seen when train has at least this share of its sketch."""

_CHUNK: Final = 256
"""Sequences laid end to end at a time: few enough for the processor's cache."""


def seen_shares(sequences: pl.Series, train_windows: Iterable[pl.Series]) -> NDArray[np.float64]:
    """Measure which share of each test sequence's sketch train windows hold.

    Args:
        sequences: (n,) upper-case test sequences of any lengths.
        train_windows: Upper-case windows of train, in parts of any size; each part is read once.

    Returns:
        (n,) shares, 0.0 to 1.0; NaN where a sequence is too short or too unknown for a sketch.
    """
    rows, hashes = _sketch_rows(sequences)
    known, numbers = np.unique(hashes, return_inverse=True)
    seen = np.zeros(known.size, dtype=bool)
    if known.size:
        for windows in train_windows:
            for found in map(_hashes, _chunks(windows)):
                place = np.minimum(np.searchsorted(known, found), known.size - 1)
                seen[place[known[place] == found]] = True
    row, number = np.divmod(np.unique(rows * max(1, known.size) + numbers), max(1, known.size))
    count = np.bincount(row, minlength=sequences.len())
    of_train = np.bincount(row, weights=seen[number], minlength=sequences.len())
    return np.divide(of_train, count, out=np.full(count.size, np.nan), where=count > 0)


def _sketch_rows(sequences: pl.Series) -> tuple[NDArray[np.int64], Hashes]:
    """The sketches of all sequences: (m,) the row of each hash, and (m,) hashes."""
    rows, hashes = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.uint64)]
    for number, chunk in enumerate(_chunks(sequences)):
        starts, found = sketch(_lay_out(chunk))
        ends = np.cumsum(chunk.str.len_bytes().to_numpy().astype(np.int64) + len(SEPARATOR))
        rows.append(number * _CHUNK + np.searchsorted(ends, starts, side="right"))
        hashes.append(found)
    return np.concatenate(rows), np.concatenate(hashes)


def _hashes(windows: pl.Series) -> Hashes:
    return sketch(_lay_out(windows))[1]


def _lay_out(sequences: pl.Series) -> NDArray[np.uint8]:
    return np.frombuffer(sequences.str.join(SEPARATOR).item().encode("ascii"), np.uint8)


def _chunks(sequences: pl.Series) -> Iterator[pl.Series]:
    return (sequences.slice(first, _CHUNK) for first in range(0, sequences.len(), _CHUNK))
