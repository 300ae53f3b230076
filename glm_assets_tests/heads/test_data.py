from __future__ import annotations

import numpy as np
import pytest

from glm_assets.errors import GlmError
from glm_assets.heads.data import PairRows, PairSet, split_pairs, window_groups


def pairs(label: list[int]) -> PairSet:
    n = len(label)
    vectors = np.arange(n * 3, dtype=np.float32).reshape(n, 3)
    return PairSet(vectors, -vectors, np.array(label, np.int8), np.ones(n, np.int16), np.arange(n))


def rows(label: list[int], split: list[str]) -> PairRows:
    n = len(label)
    return PairRows(np.array(label, np.int8), np.ones(n, np.int16), np.arange(n), np.array(split))


def blocks(n: int):
    """The vectors of `n` pairs in blocks of four, two and so on, as chromosomes come."""
    vectors = np.arange(n * 3, dtype=np.float32).reshape(n, 3)
    return ((vectors[start : start + 4], -vectors[start : start + 4]) for start in range(0, n, 4))


def plain_groups(contig, start, bucket):
    numbers: dict[tuple[str, int], int] = {}
    return [numbers.setdefault((c, s), len(numbers)) // bucket for c, s in zip(contig, start, strict=True)]


@pytest.mark.parametrize("bucket", [1, 3, 100])
def test_windows_are_numbered_in_order_of_first_occurrence(bucket):
    rng = np.random.default_rng(0)
    contig = np.repeat(["2", "10", "MT"], [150, 100, 50])  # in file order, which is not alphabetical
    start = rng.integers(0, 80, 300)
    assert window_groups(contig, start, bucket).tolist() == plain_groups(contig, start.tolist(), bucket)


def test_a_bucket_can_straddle_chromosomes():
    assert window_groups(["1", "1", "2", "2"], [5, 9, 5, 7], 3).tolist() == [0, 0, 0, 1]


def test_the_test_split_is_sealed_unless_it_is_merged():
    everything = rows([0, 1, 0, 1, 0, 1], ["train", "test", "val", "val", "test", "train"])
    sealed = split_pairs(everything, blocks(6))
    assert sealed.train.ref[:, 0].tolist() == [0, 15]
    assert sealed.val.ref[:, 0].tolist() == [6, 9]
    merged = split_pairs(everything, blocks(6), merge_test_into_train=True)
    assert merged.train.ref[:, 0].tolist() == [0, 3, 12, 15]  # in file order
    assert merged.val.ref[:, 0].tolist() == [6, 9]


@pytest.mark.parametrize(
    ("label", "split", "message"),
    [
        ([0, 1], ["train", "train"], "split 'val' has 0 pathogenic and 0 benign pairs"),
        ([0, 0, 0, 1], ["train", "train", "val", "val"], "split 'train' has 0 pathogenic and 2 benign pairs"),
        ([0, 1, 1, 1], ["train", "train", "val", "val"], "split 'val' has 2 pathogenic and 0 benign pairs"),
        ([0, 1, 0, 1, -1], ["train", "train", "val", "val", "val"], "labels besides 0 and 1"),
        ([0, 1, 0, 1], ["train", "train", "val", "dev"], "unknown splits"),
    ],
)
def test_splits_that_cannot_train_are_named(label, split, message):
    with pytest.raises(GlmError, match=message):
        split_pairs(rows(label, split), blocks(len(label)))


def test_vectors_that_do_not_fit_the_rows_are_refused():
    few = rows([0, 1, 0, 1], ["train", "train", "val", "val"])
    with pytest.raises(GlmError, match="3 vectors for 4 rows"):
        split_pairs(few, blocks(3))


def test_arrays_of_different_lengths_are_refused():
    good = pairs([0, 1])
    with pytest.raises(GlmError, match="'label': 3"):
        PairSet(good.ref, good.delta, np.zeros(3, np.int8), good.var_len, good.group)


def test_the_digest_follows_the_content():
    assert pairs([0, 1]).digest() == pairs([0, 1]).digest()
    assert pairs([0, 1]).digest() != pairs([1, 0]).digest()
