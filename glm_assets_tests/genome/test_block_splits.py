"""Blocks of a genome: no base in two splits, a gap where the split changes, shares that hold."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from glm_assets.errors import SettingsError
from glm_assets.genome.block_splits import block_splits

LENGTHS = {"chr2": 100_300, "chr1": 64_000, "scaffold": 900, "chr3": 250_000, "empty": 0}


def split(lengths=LENGTHS, *, block=5_000, gap=601, val=20, test=10, seed=1) -> pl.DataFrame:
    return block_splits(lengths, block=block, gap=gap, val=val, test=test, seed=seed)


def painted(blocks: pl.DataFrame, lengths=LENGTHS) -> dict[str, np.ndarray]:
    """The split of each base: its number, or -1; fails where a base is in two."""
    genome = {name: np.full(length, -1) for name, length in lengths.items()}
    for contig, start, end, name in blocks.rows():
        assert 0 <= start < end <= lengths[contig]
        assert (genome[contig][start:end] == -1).all()
        genome[contig][start:end] = ["train", "val", "test"].index(name)
    return genome


@pytest.mark.parametrize("gap", [0, 1, 600, 601])
def test_splits_are_a_gap_apart_and_nothing_else_is_left_out(gap):
    for bases in painted(split(gap=gap)).values():
        holes = 0
        edges = np.flatnonzero(np.diff(bases, prepend=9, append=9))
        runs = [(bases[start], end - start) for start, end in pairwise(edges)]
        for before, hole, after in zip(runs[:-2], runs[1:-1], runs[2:], strict=True):
            if hole[0] == -1:
                assert hole[1] == gap
                assert before[0] != after[0]
                holes += hole[1]
        if gap:
            assert all(-1 in (one[0], other[0]) for one, other in pairwise(runs))
        assert (bases == -1).sum() == holes


def test_shares_are_met_to_half_a_block():
    bases = np.concatenate(list(painted(split(gap=0)).values()))
    for number, share in ((1, 0.2), (2, 0.1)):
        assert abs((bases == number).sum() - share * bases.size) <= 5_000 / 2 + 50


def test_blocks_are_about_as_long_as_asked_for():
    blocks = split(gap=0).filter(pl.col("contig") != "scaffold")
    assert (blocks["end"] - blocks["start"]).is_between(4_900, 5_100).all()


def test_the_order_of_contigs_does_not_matter_and_the_seed_does():
    turned = dict(reversed(LENGTHS.items()))
    assert split().equals(split(turned))
    assert split().equals(split())
    assert not split().equals(split(seed=2))


def test_held_out_blocks_lie_all_over_the_genome():
    held = split({"a": 1_000_000, "b": 1_000_000}, gap=0).filter(pl.col("split") != "train")
    assert held["contig"].n_unique() == 2
    assert (held["start"].diff() > 5_100).any()


@pytest.mark.parametrize("seed", range(20))
def test_no_two_splits_are_closer_than_the_largest_gap(seed):
    blocks = split({"a": 21_000, "b": 9_300}, block=600, gap=600, val=25, test=25, seed=seed)
    for (_, _, end, name), (_, start, _, other) in pairwise(blocks.filter(contig="a").rows()):
        assert name == other or start - end >= 600


@pytest.mark.parametrize("seed", range(20))
def test_no_small_contig_is_all_of_a_split(seed):
    """A share of one block would be met by the first scaffold that is dealt."""
    lengths = {"chr1": 60_000} | {f"scaffold{number}": 50 for number in range(30)}
    blocks = split(lengths, block=10_000, gap=0, val=2, test=2, seed=seed)
    held = blocks.group_by("split").agg((pl.col("end") - pl.col("start")).sum().alias("bases"))
    assert held["bases"].min() == 10_000 + 50 * held_small(blocks)


def held_small(blocks: pl.DataFrame) -> int:
    """Scaffolds of the held-out split that has fewer bases."""
    small = blocks.filter(pl.col("contig") != "chr1")
    return min(small.filter(pl.col("split") == name).height for name in ("val", "test"))


def test_three_blocks_are_one_for_each_split():
    blocks = split({"chr1": 15_000}, gap=10, val=1, test=98)
    assert sorted(blocks["split"]) == ["test", "train", "val"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"lengths": {"chr1": 9_000}}, r"9,000 bases on 1 contigs are 2 blocks of 5,000 bases.*smaller blocks"),
        ({"lengths": {}}, "0 bases on 0 contigs"),
        ({"lengths": {"chr1": 15_000}, "gap": 5_000}, r"leave nothing of the blocks of \w+"),
        # Three blocks of test in a row would keep their middle one, 200 bases from what trains.
        ({"lengths": {"chr1": 3_000}, "block": 100, "gap": 300}, "gaps of 300 bases between blocks of 100"),
        ({"val": 60, "test": 40}, "60 % for val"),
        ({"test": 0}, "0 % for test"),
        ({"block": 0}, "blocks of 0 bases"),
    ],
)
def test_what_leaves_a_split_empty_is_refused(change, why):
    with pytest.raises(SettingsError, match=why):
        split(**change)
