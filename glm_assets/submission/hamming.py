"""Hamming distances among many sequences of one length, by hashing and by matrix products.

Sequences are letters (n, L) uint8. Any two letters that differ count as one substitution, N and a base too.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Letters = NDArray[np.uint8]
Edges = NDArray[np.int64]

_BLOCK_VALUES = 1 << 25
_SYMBOLS = b"ACGTN"


def as_letters(sequences: list[str]) -> Letters:
    """Sequences of one length as a matrix of ASCII codes, (n, L)."""
    return np.frombuffer("".join(sequences).encode("ascii"), np.uint8).reshape(len(sequences), -1)


def substitutions(letters: Letters, edges: Edges) -> NDArray[np.int64]:
    """Hamming distance of pairs.

    Args:
        letters: (n, L).
        edges: Pairs of rows (m, 2).

    Returns:
        (m,).
    """
    found = np.empty(len(edges), np.int64)
    block = max(1, _BLOCK_VALUES // max(1, letters.shape[1]))
    for start in range(0, len(edges), block):
        first, second = edges[start : start + block].T
        found[start : start + block] = np.count_nonzero(letters[first] != letters[second], axis=1)
    return found


def all_substitutions(first: Letters, second: Letters) -> NDArray[np.int64]:
    """Hamming distance of every row of one matrix to every row of another, by a product of indicators.

    Args:
        first: (n, L).
        second: (m, L).

    Returns:
        (n, m). The cost is n m L, so this is for small families.
    """
    length = first.shape[1]
    other = _indicators(second).T
    found = np.empty((len(first), len(second)), np.int64)
    block = max(1, _BLOCK_VALUES // (length * len(_SYMBOLS)))
    for start in range(0, len(first), block):
        shared = _indicators(first[start : start + block]) @ other
        found[start : start + block] = length - np.rint(shared).astype(np.int64)
    return found


def single_substitutions(letters: Letters, seed: int = 0) -> Edges:
    """All pairs that differ in one letter, without comparing all pairs.

    A sequence's hash is the sum of random numbers, one for each position and letter. Without one position's number,
    exactly those that are equal everywhere else agree; what agrees by chance is dropped by a comparison.

    Args:
        letters: (n, L), all rows different.
        seed: Of the random numbers; the result does not depend on it.

    Returns:
        Pairs of rows (m, 2), the smaller first, in order.
    """
    table = np.random.default_rng(seed).integers(0, 2**64, (letters.shape[1], 256), np.uint64)
    columns = np.ascontiguousarray(letters.T)
    whole = np.zeros(len(letters), np.uint64)
    for numbers, column in zip(table, columns, strict=True):
        whole += numbers[column]
    found = [_pairs_of_equal(whole - numbers[column]) for numbers, column in zip(table, columns, strict=True)]
    edges = np.unique(np.concatenate([np.empty((0, 2), np.int64), *found]), axis=0)
    return edges[substitutions(letters, edges) == 1]


def neighbours_by_piece(letters: Letters, width: int) -> Edges:
    """Pairs of rows that share a piece of `width` letters at the same place, each only with the next one of its kind.

    Args:
        letters: (n, L).
        width: Letters in a piece; the last piece may overlap the one before.

    Returns:
        Pairs of rows (m, 2), the smaller first, in order. All rows with a piece in common are connected.
    """
    length = letters.shape[1]
    starts = sorted({*range(0, length - width + 1, width), max(0, length - width)})
    base = np.uint64(len(_SYMBOLS)) ** np.arange(min(width, length), dtype=np.uint64)
    ids = _ids(letters).astype(np.uint64)
    found = [_chained(ids[:, start : start + width] @ base) for start in starts]
    return np.unique(np.concatenate([np.empty((0, 2), np.int64), *found]), axis=0)


def differing_position(letters: Letters, edges: Edges) -> NDArray[np.int64]:
    """0-based index of the first letter in which each pair of rows differs, (m,)."""
    if not len(edges):
        return np.empty(0, np.int64)
    return np.argmax(letters[edges[:, 0]] != letters[edges[:, 1]], axis=1)


def _pairs_of_equal(values: NDArray[np.uint64]) -> Edges:
    """All pairs of equal values, (m, 2)."""
    pairs = [
        (first, second)
        for group in _groups_of_equal(values)
        for place, first in enumerate(group)
        for second in group[place + 1 :]
    ]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _groups_of_equal(values: NDArray[np.uint64]) -> Iterator[list[int]]:
    """Places of values that occur more than once, in order."""
    ordered = np.sort(values)
    if not (ordered[1:] == ordered[:-1]).any():  # as a rule; sorting places costs ten times as much
        return
    order = np.argsort(values, kind="stable")
    ends = np.flatnonzero(np.diff(values[order], append=values[order[-1]] + np.uint64(1)))
    start = 0
    for end in ends + 1:
        if end - start > 1:
            yield order[start:end].tolist()
        start = end


def _chained(values: NDArray[np.uint64]) -> Edges:
    """Each value with the next equal one, (m, 2)."""
    order = np.argsort(values, kind="stable")
    same = values[order[1:]] == values[order[:-1]]
    return np.stack([order[:-1][same], order[1:][same]], axis=1).astype(np.int64)


def _ids(letters: Letters) -> NDArray[np.uint8]:
    table = np.full(256, len(_SYMBOLS) - 1, np.uint8)
    table[np.frombuffer(_SYMBOLS, np.uint8)] = np.arange(len(_SYMBOLS), dtype=np.uint8)
    return table[letters]


def _indicators(letters: Letters) -> NDArray[np.float32]:
    """One column for each position and symbol, (n, L * 5); products are whole numbers below 2^24, hence exact."""
    one_hot = letters[:, :, None] == np.frombuffer(_SYMBOLS, np.uint8)
    return one_hot.reshape(len(letters), -1).astype(np.float32)
