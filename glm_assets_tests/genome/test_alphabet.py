import numpy as np
import pytest

from glm_assets.genome.alphabet import encode_ids, reverse_complement, upper


def dna(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def test_ids_are_acgt_0_to_3_and_everything_else_is_4():
    assert encode_ids(dna("ACGTNRYn*-acgt")).tolist() == [0, 1, 2, 3] + [4] * 10


def test_upper_changes_letters_only():
    assert upper(dna("acgtnACGTNry*-@[`{")).tobytes() == b"ACGTNACGTNRY*-@[`{"


@pytest.mark.parametrize(
    ("forward", "reverse"),
    [
        ("ACGT", "ACGT"),
        ("AACCGT", "ACGGTT"),
        ("ANNC", "GNNT"),
        ("RYKMBVDHSW", "WSDHBVKMRY"),
        ("acG", "Cgt"),
        ("", ""),
    ],
)
def test_reverse_complement_reads_the_other_strand(forward, reverse):
    assert reverse_complement(dna(forward)).tobytes().decode() == reverse


def test_rows_of_a_matrix_are_reversed_one_by_one():
    windows = np.stack([dna("AACC"), dna("GGGT")])
    assert [row.tobytes() for row in reverse_complement(windows)] == [b"GGTT", b"ACCC"]


def test_reverse_complement_is_its_own_inverse_on_every_byte():
    every_byte = np.arange(256, dtype=np.uint8)
    assert np.array_equal(reverse_complement(reverse_complement(every_byte)), every_byte)


def test_the_input_stays_as_it_was():
    sequence = dna("acgt").copy()
    for function in (upper, encode_ids, reverse_complement):
        function(sequence)
    assert sequence.tobytes() == b"acgt"
