"""Train, val and test for stretches of a genome: blocks of its contigs, with a gap where the split changes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import SettingsError
from glm_assets.genome.splits import SPLITS

_TRAIN, _VAL, _TEST = range(3)
_FEWEST: Final = 3
_SCHEMA: Final = {"contig": pl.String, "start": pl.Int64, "end": pl.Int64, "split": pl.String}


def block_splits(
    lengths: Mapping[str, int], *, block: int, gap: int, val: int, test: int, seed: int
) -> pl.DataFrame:
    """Cut contigs into blocks and deal them to the splits.

    A contig has as many blocks of equal size as come nearest to `block` bases; a shorter one is a block itself. Blocks
    are dealt in the order of a hash of the seed, the contig's name and the block's number: first to test, then to val,
    each until it comes nearest to its share of the bases, and has half as many as the largest block at least, so that
    no small contig is all of a split; the rest trains. The order of the contigs does not matter.

    Args:
        lengths: Bases of each contig.
        block: Bases of a block, about.
        gap: Bases left out where two blocks of one contig meet that are of different splits, half of them on each
            side; no more than a block, so that none is lost within it.
        val: Per cent of the bases.
        test: Per cent of the bases.
        seed: Of the hash.

    Returns:
        `contig`, `start`, `end` (0-based, half-open) and `split` of each block, by contig and start. Neighbours of the
        same split touch and stay two rows.

    Raises:
        SettingsError: The shares are not percentages that leave some to train on, there are too few blocks for three
            splits, or nothing is left of a split between its gaps.
    """
    _check(block, gap, val, test)
    contigs, starts, ends = _blocks({name: lengths[name] for name in sorted(lengths)}, block)
    if len(starts) < _FEWEST:
        raise SettingsError(
            f"{sum(lengths.values()):,} bases on {len(lengths)} contigs are {len(starts)} blocks of {block:,} bases",
            expected=f"at least {_FEWEST}, one for each of {', '.join(SPLITS)}",
            fix="take smaller blocks",
        )
    splits = _deal(_order(contigs, seed), ends - starts, val=val, test=test)
    changes = (contigs[1:] == contigs[:-1]) & (splits[1:] != splits[:-1])
    starts[1:][changes] += gap - gap // 2
    ends[:-1][changes] -= gap // 2
    kept = starts < ends
    for number, name in enumerate(SPLITS):
        if not kept[splits == number].any():
            raise SettingsError(
                f"gaps of {gap:,} bases leave nothing of the blocks of {name}",
                expected=f"a gap that is small beside a block of {block:,} bases",
                fix="take a smaller gap, or larger blocks",
            )
    table = {"contig": contigs, "start": starts, "end": ends, "split": np.array(SPLITS)[splits]}
    return pl.DataFrame({name: column[kept].tolist() for name, column in table.items()}, schema=_SCHEMA)


def _check(block: int, gap: int, val: int, test: int) -> None:
    if block < 1 or gap < 0:
        raise SettingsError(f"blocks of {block} bases with gaps of {gap}", expected="at least 1 and 0")
    if gap > block:
        # A block that its gaps swallow would let its neighbours come closer to each other than a gap.
        raise SettingsError(
            f"gaps of {gap:,} bases between blocks of {block:,}",
            expected="a gap no larger than a block",
            fix="take a smaller gap, or larger blocks",
        )
    if min(val, test) < 1 or val + test > 99:
        raise SettingsError(
            f"shares of {val} % for val and {test} % for test",
            expected="at least 1 % each, and 1 % to train on",
        )


def _blocks(
    lengths: Mapping[str, int], block: int
) -> tuple[NDArray[np.str_], NDArray[np.int64], NDArray[np.int64]]:
    """Contig, start and end of every block."""
    names, starts, ends = [], [], []
    for name, length in lengths.items():
        count = max(1, round(length / block)) if length else 0
        edges = np.arange(count + 1) * length // max(count, 1)
        names += [name] * count
        starts.append(edges[:-1])
        ends.append(edges[1:])
    empty = np.zeros(0, np.int64)
    return np.array(names, np.str_), np.concatenate([empty, *starts]), np.concatenate([empty, *ends])


def _order(contigs: NDArray[np.str_], seed: int) -> NDArray[np.int64]:
    """The blocks in the order that they are dealt in."""
    firsts = np.flatnonzero(np.r_[True, contigs[1:] != contigs[:-1]])
    numbers = np.arange(len(contigs)) - np.repeat(firsts, np.diff(firsts, append=len(contigs)))
    keys = [
        hashlib.sha256(f"{seed}\0{contig}\0{number}".encode()).digest()
        for contig, number in zip(contigs.tolist(), numbers.tolist(), strict=True)
    ]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)


def _deal(order: NDArray[np.int64], bases: NDArray[np.int64], *, val: int, test: int) -> NDArray[np.int64]:
    """Number of each block's split."""
    splits = np.full(len(order), _TRAIN)
    total, dealt = int(bases.sum()), 0
    for split, share, left in ((_TEST, test, 2), (_VAL, val, 1)):
        here = order[dealt : len(order) - left]
        sums = np.cumsum(bases[here])
        nearest = int(np.abs(sums - total * share / 100).argmin())
        count = max(nearest, min(int((2 * sums < bases.max()).sum()), len(here) - 1)) + 1
        splits[here[:count]] = split
        dealt += count
    return splits
