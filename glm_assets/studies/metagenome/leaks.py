"""Held-out reads that share a long k-mer, on either strand, with a read of train: exact, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from glm_assets.genome.long_kmers import Codes, canonical_kmers, sorted_once

# Of held-out reads, whose k-mers are in memory together: eight bytes each, and as much again while they are sorted.
_BASES_TOGETHER = 32 << 20
_BLOCK_BASES = 2 << 20
_ROWS = 16_384

_Found = tuple[NDArray[np.int64], Codes]


def leaking_reads(
    reads: Path,
    splits: pl.Series,
    k: int,
    *,
    bases_together: int = _BASES_TOGETHER,
    block_bases: int = _BLOCK_BASES,
) -> pl.Series:
    """Find the held-out reads that share a k-mer with a read of train.

    The k-mers are looked at in portions, each of which reads the file anew, so that memory does not grow with it.

    Args:
        reads: File of the table `metagenome_reads`.
        splits: (n,) `train`, `val` or `test` of each row of the file, in its order.
        k: Bases of a k-mer, at most 31.
        bases_together: Held-out bases whose k-mers are in one portion.
        block_bases: Bases that are worked on at a time.

    Returns:
        (n,) named `leaks`: whether it does; False for reads of train.
    """
    train = (splits == "train").to_numpy()
    leaks = np.zeros(len(train), dtype=np.bool_)
    held_out = sum(int(lengths.sum()) for lengths in _lengths(reads, ~train))
    portions = max(1, -(-held_out // bases_together))
    for portion in range(portions) if train.any() and held_out else ():
        known = _distinct(codes for _, codes in _kmers(reads, ~train, k, portion, portions, block_bases))
        shared = np.zeros(len(known), dtype=np.bool_)
        for _, codes in _kmers(reads, train, k, portion, portions, block_bases):
            shared[_places(known, codes)] = True
        for rows, codes in _kmers(reads, ~train, k, portion, portions, block_bases):
            leaks[rows[_among(codes, known[shared])]] = True
    return pl.Series("leaks", leaks)


def _distinct(parts: Iterator[Codes]) -> Codes:
    """Each code once, ascending."""
    found = [sorted_once(part) for part in parts]
    return sorted_once(np.concatenate(found)) if found else np.empty(0, np.uint64)


def _places(known: Codes, codes: Codes) -> NDArray[np.int64]:
    """Where the codes are that are known."""
    # In order they are looked up several times as fast as at random.
    places, found = _lookup(sorted_once(codes), known)
    return places[found]


def _among(codes: Codes, known: Codes) -> NDArray[np.bool_]:
    """Whether each code is one of the known, which ascend."""
    return _lookup(codes, known)[1]


def _lookup(codes: Codes, known: Codes) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where each code is among the known, which ascend, and whether it is there at all."""
    if not len(known):
        return np.zeros(len(codes), np.int64), np.zeros(len(codes), np.bool_)
    places = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    return places, known[places] == codes


def _kmers(
    reads: Path, wanted: NDArray[np.bool_], k: int, portion: int, portions: int, block_bases: int
) -> Iterator[_Found]:
    """Rows of the file and their k-mers of one portion, a block of reads at a time."""
    for rows, sequences in _blocks(reads, wanted, block_bases):
        texts = [sequence.encode("ascii") for sequence in sequences.to_list()]
        bases = np.frombuffer(b"N".join([*texts, b""]), np.uint8)
        starts, codes = canonical_kmers(bases, k)
        ends = np.cumsum([len(text) + 1 for text in texts])
        owner = rows[np.searchsorted(ends, starts, side="right")]
        chosen = codes % np.uint64(portions) == portion
        yield owner[chosen], codes[chosen]


def _blocks(
    reads: Path, wanted: NDArray[np.bool_], block_bases: int
) -> Iterator[tuple[NDArray[np.int64], pl.Series]]:
    """Row numbers and sequences of the wanted reads, so many that they have about as many bases as a block may."""
    first = 0
    for batch in pq.ParquetFile(reads).iter_batches(_ROWS, columns=["sequence"]):
        rows = first + np.flatnonzero(wanted[first : first + batch.num_rows])
        sequences = pl.Series(batch.column("sequence")).gather(rows - first)
        first += batch.num_rows
        block = (sequences.str.len_bytes().cum_sum() // block_bases).to_numpy()
        cuts = [0, *(np.flatnonzero(np.diff(block)) + 1), len(rows)]
        for start, end in pairwise(cuts):
            if end > start:
                yield rows[start:end], sequences[int(start) : int(end)]


def _lengths(reads: Path, wanted: NDArray[np.bool_]) -> Iterator[NDArray[np.int32]]:
    first = 0
    for batch in pq.ParquetFile(reads).iter_batches(_ROWS, columns=["length"]):
        lengths = batch.column("length").to_numpy()
        yield lengths[wanted[first : first + len(lengths)]]
        first += len(lengths)
