import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm_assets.errors import SettingsError
from glm_assets.genome.long_kmers import MAX_K, canonical_kmers
from glm_assets.studies.metagenome.leaks import leaking_reads
from glm_assets_tests.studies.metagenome.reads import sequence

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def other_strand(bases):
    return bases.translate(COMPLEMENT)[::-1]


def strands(bases, k):
    """All k-mers of both strands without N, the slow way."""
    return {text[i : i + k] for text in (bases, other_strand(bases)) for i in range(len(text) - k + 1)} - {
        text[i : i + k]
        for text in (bases, other_strand(bases))
        for i in range(len(text) - k + 1)
        if "N" in text[i : i + k]
    }


def table(tmp_path, sequences):
    path = tmp_path / "part.parquet"
    lengths = pl.Series([len(bases) for bases in sequences], dtype=pl.Int32)
    pl.DataFrame({"sequence": sequences, "length": lengths}).write_parquet(path)
    return path


@given(st.text("ACGTN", max_size=80), st.integers(1, MAX_K))
def test_codes_are_equal_where_kmers_of_either_strand_are(text, k):
    starts, codes = canonical_kmers(np.frombuffer(text.encode(), np.uint8), k)
    kmers = [text[i : i + k] for i in range(len(text) - k + 1)]
    assert starts.tolist() == [place for place, kmer in enumerate(kmers) if "N" not in kmer]
    named = [min(kmers[place], other_strand(kmers[place])) for place in starts]
    assert len(set(zip(named, codes.tolist(), strict=True))) == len(set(named)) == len(set(codes.tolist()))


def test_kmers_that_64_bits_cannot_hold_are_refused():
    with pytest.raises(SettingsError, match="32"):
        canonical_kmers(np.zeros(100, np.uint8), 32)


def mixed_reads(seed):
    """Reads of which some share pieces of various lengths, on either strand."""
    source = random.Random(seed)
    reads = [sequence((seed, number), source.choice([0, 20, 70, 120])) for number in range(60)]
    for _ in range(40):
        giver, taker = source.sample(range(60), 2)
        start, length = source.randint(0, 40), source.randint(29, 40)
        piece = reads[giver][start : start + length]
        reads[taker] += source.choice([piece, other_strand(piece), piece[:20] + "N" + piece[21:]])
    return reads


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("bases_together", "block_bases"), [(1 << 20, 1 << 20), (500, 200)])
def test_leaks_are_those_of_sets_of_kmers(tmp_path, seed, bases_together, block_bases):
    reads = mixed_reads(seed)
    splits = random.Random(seed).choices(["train", "val", "test"], [5, 2, 2], k=60)
    train = set().union(
        *(strands(bases, 31) for bases, split in zip(reads, splits, strict=True) if split == "train")
    )
    expected = [split != "train" and bool(strands(b, 31) & train) for b, split in zip(reads, splits, strict=True)]
    found = leaking_reads(
        table(tmp_path, reads), pl.Series(splits), 31, bases_together=bases_together, block_bases=block_bases
    )
    assert found.to_list() == expected
    assert any(expected)


@pytest.mark.parametrize(("length", "leaks"), [(31, True), (30, False)])
def test_a_piece_on_the_other_strand_is_found_from_31_bases(tmp_path, length, leaks):
    train, held_out = "A" + sequence("train", 150) + "A", sequence("held out", 60)
    piece = other_strand(train[40 : 40 + length])
    # Bases beside it that do not go on as the other read does.
    before = "ACGT"[("ACGT".index(train[40 + length].translate(COMPLEMENT)) + 1) % 4]
    after = "ACGT"[("ACGT".index(train[39].translate(COMPLEMENT)) + 1) % 4]
    path = table(tmp_path, [train, held_out, held_out + before + piece + after + held_out[:20]])
    assert leaking_reads(path, pl.Series(["train", "val", "test"]), 31).to_list() == [False, False, leaks]


@pytest.mark.parametrize("splits", [["train", "train"], ["val", "test"]])
def test_reads_of_one_side_leak_nothing(tmp_path, splits):
    assert not leaking_reads(table(tmp_path, ["ACGT" * 20] * 2), pl.Series(splits), 31).any()
