from __future__ import annotations

import numpy as np
import pytest

from glm_assets.errors import GlmError, TrainingError
from glm_assets.heads.data import PairRows, PairSet, split_pairs
from glm_assets.heads.grouping import window_groups
from glm_assets_tests.heads.planted import in_memory


def pairs(label: list[int]) -> PairSet:
    n = len(label)
    vectors = np.arange(n * 3, dtype=np.float32).reshape(n, 3)
    return PairSet(vectors, -vectors, np.array(label, np.int8), np.ones(n, np.int16), np.arange(n))


def rows(label: list[int], split: list[str]) -> PairRows:
    n = len(label)
    return PairRows(np.array(label, np.int8), np.ones(n, np.int16), np.arange(n), np.array(split))


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
    asked: list[int] = []

    def take(at: np.ndarray) -> PairSet:
        asked.extend(at.tolist())
        vectors = np.arange(18, dtype=np.float32).reshape(6, 3)
        return in_memory(everything, vectors, -vectors)(at)

    sealed = split_pairs(everything, take)
    assert sorted(asked) == [0, 2, 3, 5]  # nobody even asks for the others
    assert sealed.train.ref[:, 0].tolist() == [0, 15]
    assert sealed.val.ref[:, 0].tolist() == [6, 9]
    assert sealed.soup_val is sealed.val
    merged = split_pairs(everything, take, merge_test_into_train=True)
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
    given = rows(label, split)
    vectors = np.zeros((len(label), 3))
    with pytest.raises(GlmError, match=message):
        split_pairs(given, in_memory(given, vectors, vectors))


def test_soups_can_have_pairs_of_their_own():
    given = rows([0, 1, 0, 1, 0, 1], ["train", "train", "val", "val", "soup_val", "soup_val"])
    vectors = np.arange(18.0).reshape(6, 3)
    data = split_pairs(given, in_memory(given, vectors, vectors))
    assert data.val.ref[:, 0].tolist() == [6, 9]
    assert data.soup_val.ref[:, 0].tolist() == [12, 15]
    assert set(data.digest()) == {"train", "val", "soup_val"}


def test_a_half_without_a_class_says_what_to_do():
    given = rows([0, 1, 0, 1, 0, 0], ["train", "train", "val", "val", "soup_val", "soup_val"])
    vectors = np.zeros((6, 3))
    with pytest.raises(TrainingError, match=r"'soup_val' has 0 pathogenic.*GLM_CHROMOSOMES.*recipe faithful"):
        split_pairs(given, in_memory(given, vectors, vectors))


def test_arrays_of_different_lengths_are_refused():
    good = pairs([0, 1])
    with pytest.raises(GlmError, match="'label': 3"):
        PairSet(good.ref, good.delta, np.zeros(3, np.int8), good.var_len, good.group)


def test_the_digest_follows_the_content():
    assert pairs([0, 1]).digest() == pairs([0, 1]).digest()
    assert pairs([0, 1]).digest() != pairs([1, 0]).digest()
