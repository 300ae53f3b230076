"""What a contest's test CSV hides: pairs that differ by one letter, which are SNVs, and mutation ladders.

Only sequences of one length are compared, since a Hamming distance needs that. N is a letter of its own. Equal
sequences count once, as their first row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.submission.hamming import Edges, Letters, as_letters, differing_position, single_substitutions
from glm_assets.submission.ladders import Ladder, components, find_ladders

_PAIRS = {
    "family": pl.Int64,
    "base": pl.Int64,
    "variant": pl.Int64,
    "index": pl.Int32,
    "oriented": pl.Boolean,
}
_RUNGS = {"ladder": pl.Int64, "base": pl.Int64, "row": pl.Int64, "substitutions": pl.Int32}


@dataclass(frozen=True)
class Structure:
    """What was found; rows are 0-based rows of the CSV.

    Attributes:
        pairs: Pairs one letter apart that are no rung and base of a ladder: `family` (sequences that hang together),
            `base` and `variant` (rows), `index` (0-based, where they differ) and `oriented` (whether `base` is known
            to be the reference: it has more neighbours than the others, or more equal rows).
        ladders: A row for each rung: `ladder` (number), `base` and `row` (rows) and `substitutions`.
        rows: Rows there are.
        distinct: Different sequences.
        unassigned: Different sequences in neither a pair nor a ladder.
    """

    pairs: pl.DataFrame
    ladders: pl.DataFrame
    rows: int
    distinct: int
    unassigned: int

    def index_counts(self) -> dict[int, int]:
        """Index in which pairs differ to their number, the most frequent first."""
        counts = self.pairs.group_by("index").len().sort(["len", "index"], descending=[True, False])
        return dict(counts.iter_rows())


def find_structure(sequences: pl.Series) -> Structure:
    """Find pairs and ladders, by hashing: never are all sequences compared with all.

    Args:
        sequences: n upper-case sequences, of any lengths.
    """
    distinct = (
        pl.DataFrame({"seq": sequences})
        .with_row_index("row")
        .group_by("seq", maintain_order=True)
        .agg(pl.col("row").first().cast(pl.Int64), pl.len().cast(pl.Int64).alias("equal"))
        .with_columns(pl.col("seq").str.len_bytes().alias("length"))
    )
    pairs, ladders = [pl.DataFrame(schema=_PAIRS)], [pl.DataFrame(schema=_RUNGS)]
    for group in distinct.partition_by("length", maintain_order=True):
        if group["length"][0]:
            own_pairs, own_ladders = _of_one_length(group)
            pairs.append(
                own_pairs.with_columns(pl.col("family") + sum(frame["family"].n_unique() for frame in pairs))
            )
            ladders.append(
                own_ladders.with_columns(pl.col("ladder") + sum(frame["ladder"].n_unique() for frame in ladders))
            )
    found_pairs, found_ladders = pl.concat(pairs), pl.concat(ladders)
    members = [found_pairs["base"], found_pairs["variant"], found_ladders["base"], found_ladders["row"]]
    return Structure(
        pairs=found_pairs,
        ladders=found_ladders,
        rows=len(sequences),
        distinct=distinct.height,
        unassigned=distinct.height - pl.concat([column.alias("row") for column in members]).n_unique(),
    )


def _of_one_length(group: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    letters, row = as_letters(group["seq"].to_list()), group["row"].to_numpy()
    single = single_substitutions(letters)
    ladders = find_ladders(letters, single)
    taken = np.zeros(len(letters), bool)
    for ladder in ladders:
        taken[ladder.rows], taken[ladder.base] = True, True
    free = single[~taken[single].any(axis=1)]
    ladders, lent = _give_back(letters, ladders, free)
    stars = [*_families(len(letters), free, group["equal"].to_numpy()), *lent]
    edges = np.array([edge for star in stars for edge in star.edges], np.int64).reshape(-1, 2)
    pairs = {
        "family": [number for number, star in enumerate(stars) for _ in star.edges],
        "base": row[edges[:, 0]],
        "variant": row[edges[:, 1]],
        "index": differing_position(letters, edges),
        "oriented": [star.oriented for star in stars for _ in star.edges],
    }
    return pl.DataFrame(pairs, schema=_PAIRS), _rungs(ladders, row)


@dataclass(frozen=True)
class _Star:
    """Pairs of one family, the base first."""

    edges: list[tuple[int, int]]
    oriented: bool


def _give_back(letters: Letters, ladders: list[Ladder], free: Edges) -> tuple[list[Ladder], list[_Star]]:
    """Take SNVs of a ladder's base out of its rungs, where the base is an SNV's reference too.

    They are told by the index in which most pairs differ: of several sequences one letter from a base, those that
    differ there are pairs, if that leaves the ladder a first rung.
    """
    places = differing_position(letters, free)
    usual = int(np.bincount(places).argmax()) if len(places) else -1
    if np.count_nonzero(places == usual) * 2 <= len(places):
        return ladders, []
    kept, stars = [], []
    for ladder in ladders:
        edges = np.stack([np.full(len(ladder.rows), ladder.base), ladder.rows], axis=1)
        single = ladder.substitutions == 1
        snv = single & (differing_position(letters, edges) == usual)
        if snv.any() and (single & ~snv).any():
            stars.append(_Star([(ladder.base, int(row)) for row in ladder.rows[snv]], oriented=True))
            ladder = Ladder(ladder.base, ladder.rows[~snv], ladder.substitutions[~snv])  # noqa: PLW2901
        kept.append(ladder)
    return kept, stars


def _families(count: int, edges: Edges, equal: NDArray[np.int64]) -> Iterator[_Star]:
    """Divide pairs into families around a base.

    Args:
        count: Different sequences.
        edges: Pairs that differ in one letter (m, 2).
        equal: How many rows each sequence has (count,).
    """
    label = components(count, edges)[edges[:, 0]]
    order = np.argsort(label, kind="stable")
    for part in np.split(edges[order], np.flatnonzero(np.diff(label[order])) + 1):
        left = [(int(first), int(second)) for first, second in part]
        while left:
            star = _star(left, equal)
            yield star
            gone = {row for edge in star.edges for row in edge}
            left = [edge for edge in left if not gone & set(edge)]


def _star(edges: list[tuple[int, int]], equal: NDArray[np.int64]) -> _Star:
    """The pairs of the row with the most neighbours, then with the most equal rows; all pairs where that is a tie."""
    neighbours = Counter(row for edge in edges for row in edge)
    rank = {row: (count, int(equal[row])) for row, count in neighbours.items()}
    best = max(rank.values())
    leaders = [row for row, value in rank.items() if value == best]
    if len(leaders) > 1:
        return _Star(edges, oriented=False)
    base = leaders[0]
    own = [edge for edge in edges if base in edge]
    return _Star([(base, second if first == base else first) for first, second in own], oriented=True)


def _rungs(ladders: list[Ladder], row: NDArray[np.int64]) -> pl.DataFrame:
    frames = [
        pl.DataFrame(
            {
                "ladder": np.full(len(ladder.rows), number),
                "base": np.full(len(ladder.rows), row[ladder.base]),
                "row": row[ladder.rows],
                "substitutions": ladder.substitutions,
            },
            schema=_RUNGS,
        )
        for number, ladder in enumerate(ladders)
    ]
    return pl.concat([pl.DataFrame(schema=_RUNGS), *frames])
