"""Contest-like test CSVs with their truth: SNV pairs at one index, mutation ladders, shuffled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BASES = np.frombuffer(b"ACGT", np.uint8)
INDEX = 511
RUNGS = tuple(1 << power for power in range(10))


@dataclass(frozen=True)
class Contest:
    """Sequences in the order of the file, and what is true of their rows.

    Attributes:
        sequences: In order.
        pairs: Unordered pairs of rows, each with the index in which they differ.
        ladders: Base row to its rungs, as (substitutions, row).
    """

    sequences: list[str]
    pairs: set[tuple[frozenset[int], int]]
    ladders: dict[int, set[tuple[int, int]]]


def substituted(rng, sequence, places):
    """The sequence with another base at each place."""
    changed = sequence.copy()
    for place in places:
        changed[place] = rng.choice(BASES[sequence[place] != BASES])
    return changed


def make_contest(*, pairs: int, ladders: int, length: int = 1024, singles: int = 0, nested=None, seed: int = 0):
    """Make a contest.

    Args:
        pairs: SNV pairs, windows that overlap each other's neighbours as those of a gene do.
        ladders: Ladders with all rungs up to half of the length.
        length: Of a sequence.
        singles: Sequences in neither.
        nested: Whether a rung keeps the substitutions of the one before; by default every other ladder does.
        seed: Of everything.
    """
    rng = np.random.default_rng(seed)
    gene = rng.choice(BASES, 8 * pairs + length)
    rows, truth_pairs, truth_ladders = [], [], {}
    index = min(INDEX, length // 2 - 1)
    for number in range(pairs):
        window = gene[8 * number : 8 * number + length]
        truth_pairs.append((len(rows), len(rows) + 1))
        rows += [window, substituted(rng, window, [index])]
    for number in range(ladders):
        base, places = rng.choice(BASES, length), rng.permutation(length)
        keeps = number % 2 == 0 if nested is None else nested
        truth_ladders[len(rows)] = set()
        start, mutated = len(rows), substituted(rng, base, places)
        rows.append(base)
        for step in (rung for rung in RUNGS if rung <= length // 2):
            chosen = places[:step] if keeps else rng.permutation(length)[:step]
            rung = base.copy()
            rung[chosen] = mutated[chosen] if keeps else substituted(rng, base, chosen)[chosen]
            truth_ladders[start].add((step, len(rows)))
            rows.append(rung)
    rows += [rng.choice(BASES, length) for _ in range(singles)]
    order = rng.permutation(len(rows))
    new = np.argsort(order)
    return Contest(
        [rows[old].tobytes().decode() for old in order],
        {(frozenset((int(new[a]), int(new[b]))), index) for a, b in truth_pairs},
        {int(new[base]): {(step, int(new[row])) for step, row in rungs} for base, rungs in truth_ladders.items()},
    )
