import hashlib
from itertools import combinations

import numpy as np
import pytest

from glm_assets.errors import SettingsError
from glm_assets.genome.splits import (
    LOCUS_BIN,
    SplitRule,
    check_chromosome_sides,
    md5_split,
    split_by_locus,
    split_by_window,
)

VECTORS = [
    ("NC_000001.11:2", "f549a0fc", 60, "train"),
    ("NC_000001.11:11", "2835e7cc", 88, "val"),
    ("NC_000001.11:1", "ec4090fb", 95, "test"),
    ("NC_000001.11:77", "c543eade", 90, "test"),
    ("NC_000017.11:43044783", "d7bbda91", 25, "train"),
    ("NC_012920.1:1", "c361fd82", 10, "train"),
]


def random_windows(seed: int, length: int = 1024) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    clusters = generator.integers(0, 10_000_000, 200)
    starts = np.sort(generator.choice(clusters, 1000) + generator.integers(0, 3000, 1000))
    return starts, starts + length


@pytest.mark.parametrize(("label", "digest", "residue", "split"), VECTORS)
def test_published_md5_vectors(label, digest, residue, split):
    assert hashlib.md5(label.encode()).hexdigest()[:8] == digest
    assert int(digest, 16) % 100 == residue
    assert md5_split([label]).tolist() == [split]


@pytest.mark.parametrize(("label", "digest", "residue", "split"), VECTORS)
def test_a_window_is_hashed_by_contig_and_one_based_start(label, digest, residue, split):
    contig, start = label.split(":")
    assert split_by_window(contig, np.array([int(start) - 1])).tolist() == [split]


def test_shares_move_the_borders():
    labels = [label for label, *_ in VECTORS]  # residues 60, 88, 95, 90, 25, 10
    assert md5_split(labels, train=60, val=35).tolist() == ["val", "val", "test", "val", "train", "train"]
    assert set(md5_split(labels, train=100, val=0).tolist()) == {"train"}


def test_windows_are_split_about_80_10_10():
    splits = split_by_window("NC_000001.11", np.arange(20_000))
    shares = [np.mean(splits == split) for split in ("train", "val", "test")]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.01)


def test_equal_starts_share_a_split_and_order_does_not_matter():
    starts = np.random.default_rng(0).integers(0, 500, 2000)
    splits = split_by_window("NC_000013.11", starts)
    order = np.random.default_rng(1).permutation(starts.size)
    assert np.array_equal(split_by_window("NC_000013.11", starts[order]), splits[order])
    assert all(len(set(splits[starts == start])) == 1 for start in set(starts.tolist()))


@pytest.mark.parametrize("seed", range(5))
def test_windows_that_overlap_are_never_in_different_splits(seed):
    starts, ends = random_windows(seed)
    loci, splits = split_by_locus("7", starts, ends)
    assert set(splits) == {"train", "val", "test"}
    for one, other in combinations(range(0, starts.size, 3), 2):
        if starts[other] < ends[one]:
            assert splits[one] == splits[other]
            assert loci[one] == loci[other]


def test_loci_are_named_by_their_first_start_and_hashed_by_its_bin():
    starts = np.array([9000, 100, 600, 1624])
    loci, splits = split_by_locus("13", starts, starts + 1024)
    assert loci.tolist() == [9000, 100, 100, 1624]
    assert splits.tolist() == md5_split([f"13:{start // LOCUS_BIN}" for start in (9000, 100, 100, 1624)]).tolist()


def test_loci_do_not_depend_on_the_row_order():
    starts, ends = random_windows(11)
    loci, splits = split_by_locus("7", starts, ends)
    order = np.random.default_rng(2).permutation(starts.size)
    shuffled_loci, shuffled_splits = split_by_locus("7", starts[order], ends[order])
    assert np.array_equal(shuffled_loci, loci[order])
    assert np.array_equal(shuffled_splits, splits[order])


def test_a_locus_that_grows_within_its_bin_keeps_its_split():
    base = 40 * LOCUS_BIN
    key = "3"
    before = np.array([base + 200, base + 700])
    after = np.array([base, base + 200, base + 700, base + 1500])
    _, old = split_by_locus(key, before, before + 1024)
    _, new = split_by_locus(key, after, after + 1024)
    assert set(old) == set(new)


def test_no_windows_have_no_split():
    empty = np.array([], dtype=np.int64)
    assert split_by_window("NC_000013.11", empty).size == 0
    assert [part.size for part in split_by_locus("13", empty, empty)] == [0, 0]


def test_a_chromosome_is_on_the_side_that_names_it_or_trains():
    rule = SplitRule("chromosome", test_chromosomes=("X", "Y"), val_chromosomes=("2",))
    assert [rule.side(chrom) for chrom in ("1", "2", "X", "Y")] == ["train", "val", "test", "test"]


@pytest.mark.parametrize(
    ("test", "val", "culprit"),
    [
        (["X"], ["2"], "chromosome X is in test and Y in train"),
        (["1"], ["Y"], "chromosome X is in train and Y in val"),
        (["1", "2"], ["2"], "chromosome 2 is in split.test_chromosomes and in split.val_chromosomes"),
        (["chr1"], ["2"], "split.test_chromosomes names 'chr1'"),
        ([], ["2"], "split.test_chromosomes is empty"),
        (["1"], [], "split.val_chromosomes is empty"),
    ],
)
def test_sides_that_leak_or_leave_nothing_are_refused(test, val, culprit):
    with pytest.raises(SettingsError, match=f"^{culprit}.*Expected"):
        check_chromosome_sides(test, val, ["1", "2", "X", "Y"])


def test_x_alone_may_test_where_the_study_has_no_y():
    check_chromosome_sides(["X"], ["2"], ["1", "2", "X"])


@pytest.mark.parametrize("wrong", [{"name": "random"}, {"train": 95, "val": 10}, {"train": -1}, {"val": -5}])
def test_a_wrong_rule_is_refused(wrong):
    with pytest.raises(SettingsError, match="Expected"):
        SplitRule(**wrong)
