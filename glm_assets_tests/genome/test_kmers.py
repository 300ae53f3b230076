"""k-mer counts equal those of a plain counter over Python strings."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from glm_assets.errors import SettingsError
from glm_assets.genome import kmers
from glm_assets.genome.kmers import kmer_counts, kmer_frequencies, kmer_names

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def counted(sequence: str, k: int, canonical: bool) -> Counter[str]:
    """The oracle: slices of the text."""
    text = sequence.upper().replace("U", "T")
    found = (text[place : place + k] for place in range(len(text) - k + 1))
    known = [word for word in found if set(word) <= set("ACGT")]
    return Counter(min(word, word.translate(COMPLEMENT)[::-1]) if canonical else word for word in known)


def reads(number: int, seed: int = 0) -> list[str]:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(0, 60, number)
    return ["".join(generator.choice(list("ACGTACGTACGTacgtUuNRé-"), length)) for length in lengths]


@pytest.mark.parametrize("canonical", [True, False])
@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_counts_equal_a_counter_over_both_strands(k, canonical):
    sequences = reads(40)
    counts = kmer_counts(sequences, k, canonical=canonical).toarray()
    names = kmer_names(k, canonical=canonical)
    assert counts.shape == (40, len(names))
    for sequence, row in zip(sequences, counts, strict=True):
        expected = counted(sequence, k, canonical)
        assert {names[place]: int(row[place]) for place in np.flatnonzero(row)} == dict(expected)


def test_names_are_sorted_and_canonical_ones_leave_out_the_other_strand():
    assert kmer_names(2, canonical=False)[:5] == ["AA", "AC", "AG", "AT", "CA"]
    assert kmer_names(2) == ["AA", "AC", "AG", "AT", "CA", "CC", "CG", "GA", "GC", "TA"]
    assert (len(kmer_names(6, canonical=False)), len(kmer_names(6))) == (4096, 2080)
    assert kmer_names(6) == sorted(kmer_names(6))


def test_a_read_and_its_other_strand_count_the_same():
    sequence = "GATTACANGGCATTTTAGCCA"
    other = sequence.translate(COMPLEMENT)[::-1]
    both = kmer_counts([sequence, other], 4).toarray()
    assert both[0].tolist() == both[1].tolist()
    one_strand = kmer_counts([sequence, other], 4, canonical=False).toarray()
    assert one_strand[0].tolist() != one_strand[1].tolist()


def test_blocks_do_not_change_the_counts(monkeypatch):
    sequences = reads(50, seed=1)
    whole = kmer_counts(sequences, 3).toarray()
    monkeypatch.setattr(kmers, "_BLOCK_BASES", 70)
    assert kmer_counts(sequences, 3).toarray().tolist() == whole.tolist()


def test_frequencies_sum_to_one_or_to_nought():
    frequencies = kmer_frequencies(kmer_counts(["AAAT", "NNNN", "", "AC"], 2))
    assert frequencies.sum(axis=1).tolist() == pytest.approx([1, 0, 0, 1])
    assert frequencies.toarray()[0].tolist() == pytest.approx([2 / 3, 0, 0, 1 / 3, 0, 0, 0, 0, 0, 0])


def test_no_sequences_and_short_ones_have_rows_of_nought():
    assert kmer_counts([], 3).shape == (0, 32)
    assert kmer_counts(["", "AC"], 3).toarray().tolist() == [[0] * 32] * 2


@pytest.mark.parametrize("k", [0, 13])
def test_a_k_out_of_range_is_refused(k):
    with pytest.raises(SettingsError, match=f"k-mers of {k} bases"):
        kmer_counts(["ACGT"], k)
