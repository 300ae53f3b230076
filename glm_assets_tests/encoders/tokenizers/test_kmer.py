"""k-mers as tokens, against Python's own strings."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from glm_assets.encoders.tokenizers.fit import require_fit
from glm_assets.encoders.tokenizers.kmer import (
    KmerTokenizer,
    decode_kmers,
    encode_kmers,
    reverse_complement_kmers,
)
from glm_assets.encoders.tokenizers.registry import make_tokenizer
from glm_assets.errors import EncoderError

NAMES = ["".join(letters) for letters in product("ACGT", repeat=6)]


def ascii_of(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def sliced(text: str, k: int, phase: int) -> list[int | None]:
    """Ids by cutting strings; None where another letter is within."""
    cut = [text[start : start + k].upper() for start in range(phase, len(text) - k + 1, k)]
    return [
        sum("ACGT".index(base) * 4 ** (k - 1 - place) for place, base in enumerate(kmer))
        if set(kmer) <= set("ACGT")
        else None
        for kmer in cut
    ]


def other_strand(text: str) -> str:
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))


def test_known_ids():
    ids = KmerTokenizer().encode(["AAAAAA", "TTTTTT", "ACGTAC", "AAAAAC", "acgtac"])
    assert [row.tolist() for row in ids] == [[0], [4095], [433], [1], [433]]


def test_all_6_mers_both_ways():
    tokenizer = KmerTokenizer()
    ids = tokenizer.encode(["".join(NAMES)])[0]
    assert ids.tolist() == list(range(4096))
    assert tokenizer.decode(ids) == "".join(NAMES)
    assert list(tokenizer.token_strings) == NAMES


@pytest.mark.parametrize("k", range(1, 9))
def test_cutting_is_that_of_strings_at_every_phase(k):
    letters = np.random.default_rng(k).choice(list("ACGTacgtN"), 203, p=[0.12] * 8 + [0.04])
    text = "".join(letters)
    for phase in range(k):
        codes, known = encode_kmers(ascii_of(text), k, phase)
        assert [code if is_known else None for code, is_known in zip(codes, known, strict=True)] == sliced(
            text, k, phase
        )


@pytest.mark.parametrize("k", [1, 3, 6, 8])
def test_the_other_strand_of_the_other_strand_is_the_first(k):
    codes = np.random.default_rng(0).integers(0, 4**k, (3, 50))
    turned = reverse_complement_kmers(codes, k)
    np.testing.assert_array_equal(reverse_complement_kmers(turned, k), codes)
    for row, other in zip(codes, turned, strict=True):
        assert decode_kmers(other, k).tobytes().decode() == other_strand(decode_kmers(row, k).tobytes().decode())


def test_what_is_shorter_than_a_token_has_none():
    assert [len(row) for row in KmerTokenizer().encode(["", "ACGTA", "ACGTACA"])] == [0, 0, 1]
    assert len(encode_kmers(ascii_of("ACG"), 6, 5)[0]) == 0


def test_k_mers_with_another_letter_are_passed_over():
    tokenizer = make_tokenizer("kmer", k=3)
    assert tokenizer.decode(tokenizer.encode(["ACGNACTTTRAAé?AA"])[0]) == "ACGTTT"
    assert tokenizer.unk_id is None


def test_ids_fit_an_embedding_of_their_number():
    require_fit(make_tokenizer("kmer"), 4096)
    with pytest.raises(EncoderError, match="reach 4095"):
        require_fit(make_tokenizer("kmer"), 4095)


@pytest.mark.parametrize("k", [0, 9])
def test_other_lengths_are_refused(k):
    with pytest.raises(EncoderError, match="1 to 8"):
        make_tokenizer("kmer", k=k)
