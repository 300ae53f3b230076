"""Mutation ladders in a test CSV: a base sequence, and sequences at Hamming distance 1, 2, 4 .. from it.

Sequences that share a piece are linked, and only within what is linked are all compared. A rung with half of its
letters changed may share no piece with anything: what is left over is compared with the bases found so far, by a matrix
product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glm_assets.submission.hamming import (
    Edges,
    Letters,
    all_substitutions,
    neighbours_by_piece,
    substitutions,
)

LEAST_RUNGS = 3
"""Fewer different distances may be chance, or variants of one reference."""

# Of 16 letters a piece is unique in a genome's worth of windows; of 8 it survives when a quarter of all is changed.
_PIECES = (16, 8)


@dataclass(frozen=True)
class Ladder:
    """A base and its rungs.

    Attributes:
        base: Row of the base.
        rows: Rows of the rungs (k,), by rising distance, then row; several may have the same distance.
        substitutions: Their Hamming distances from the base (k,), powers of two up to half of the length.
    """

    base: int
    rows: NDArray[np.int64]
    substitutions: NDArray[np.int64]


def find_ladders(letters: Letters, single: Edges) -> list[Ladder]:
    """Find the ladders among sequences of one length.

    A row belongs to one ladder at most: bases with more distances come first. All rows at such a distance from a base
    are its rungs, so that a rung that looks like an SNV is none; `pairs` gives back those that are one after all.

    Args:
        letters: (n, L), all rows different.
        single: All pairs of rows that differ in one letter (m, 2).

    Returns:
        By row of the base.
    """
    linked = np.concatenate([single, _linked_by_pieces(letters, single)])
    likely = list(_assemble(letters, linked, LEAST_RUNGS - 1))
    if likely:
        linked = np.concatenate([linked, _far_rungs(letters, single, likely)])
    return sorted(_assemble(letters, linked, LEAST_RUNGS), key=lambda ladder: ladder.base)


def components(count: int, edges: Edges) -> NDArray[np.int64]:
    """Label of each row: the smallest row that it is connected to, (count,)."""
    label = np.arange(count)
    while True:
        lowest = np.minimum(label[edges[:, 0]], label[edges[:, 1]])
        before = label.copy()
        for side in edges.T:
            np.minimum.at(label, before[side], lowest)
            np.minimum.at(label, side, lowest)
        label = label[label]
        if np.array_equal(label, before):
            return label


def _linked_by_pieces(letters: Letters, single: Edges) -> Edges:
    """Pairs that share a piece and at least half of all letters; one row stands for all that are one letter apart."""
    rows = np.unique(components(len(letters), single))
    reach = letters.shape[1] // 2
    found = []
    for width in _PIECES:
        edges = rows[neighbours_by_piece(letters[rows], width)]
        found.append(edges[substitutions(letters, edges) <= reach])
    return np.concatenate(found)


def _far_rungs(letters: Letters, single: Edges, likely: list[Ladder]) -> Edges:
    """Pairs of a likely base and a row that nothing is known of, a power of two apart."""
    known = np.concatenate([single.ravel(), *(np.append(ladder.rows, ladder.base) for ladder in likely)])
    left = np.setdiff1d(np.arange(len(letters)), known)
    bases = np.array([ladder.base for ladder in likely])
    at, base = np.nonzero(_is_rung(all_substitutions(letters[left], letters[bases]), letters.shape[1]))
    return np.stack([left[at], bases[base]], axis=1)


def _assemble(letters: Letters, linked: Edges, least: int) -> Iterator[Ladder]:
    """Ladders of at least so many different distances, within each connected set of rows."""
    label = components(len(letters), linked)
    order = np.argsort(label, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(label[order])) + 1):
        if len(rows) > least:
            yield from _ladders_of(rows, all_substitutions(letters[rows], letters[rows]), letters, least)


def _ladders_of(
    rows: NDArray[np.int64], apart: NDArray[np.int64], letters: Letters, least: int
) -> Iterator[Ladder]:
    """Ladders among rows whose distances are known; the base with the most different distances first."""
    rung = np.where(_is_rung(apart, letters.shape[1]), apart, 0)
    while True:
        kinds = np.array([len(np.unique(distances[distances > 0])) for distances in rung])
        most = np.lexsort((np.count_nonzero(rung, axis=1), kinds))[-1]
        if kinds[most] < least:
            return
        own = np.flatnonzero(rung[most])
        own = own[np.argsort(rung[most, own], kind="stable")]
        yield Ladder(int(rows[most]), rows[own], rung[most, own])
        taken = np.append(own, most)
        rung[taken], rung[:, taken] = 0, 0


def _is_rung(apart: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
    """Whether a distance is a power of two, and at most half of the length."""
    return (apart > 0) & (apart & (apart - 1) == 0) & (apart <= length // 2)
