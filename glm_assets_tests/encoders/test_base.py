"""Specifications, and how windows and pairs become batches, with an encoder that counts letters."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from glm_assets.encoders.base import Encoder, EncoderSpec
from glm_assets.errors import EncoderError
from glm_assets_tests.encoders.conftest import random_windows

SPEC = EncoderSpec(
    name="letters",
    revision="0" * 64,
    layer="none",
    pooling="mean",
    dimension=2,
    context=16,
    dtype="float32",
    needs=(),
    extras={"pairs": "two_forwards"},
)


class LetterEncoder(Encoder):
    """Share of A and of C in a window; remembers the shapes of its batches."""

    def __init__(self, batch_tokens: int = 64) -> None:
        self.spec = SPEC
        self.device_name = "none"
        self.batch_tokens = batch_tokens
        self.batches: list[tuple[int, ...]] = []

    def embed_batch(self, windows):
        self.batches.append(windows.shape)
        return np.stack([(windows == ord(base)).mean(axis=1) for base in "AC"], axis=1).astype(np.float32)


def padded(*sequences: str) -> np.ndarray:
    longest = max(map(len, sequences))
    return np.array([list(sequence.ljust(longest, "\0").encode()) for sequence in sequences], np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"revision": "1" * 64},
        {"layer": "blocks.1"},
        {"pooling": "mean_bf16"},
        {"dimension": 3},
        {"context": 17},
        {"dtype": "bfloat16"},
        {"needs": ("fp8",)},
        {"extras": {"pairs": "shared_prefix"}},
        {"extras": {}},
    ],
    ids=str,
)
def test_every_field_changes_the_fingerprint(change):
    assert replace(SPEC, **change).fingerprint != SPEC.fingerprint


def test_the_fingerprint_is_the_same_in_every_process():
    canonical = (
        b'{"context":16,"dimension":2,"dtype":"float32","extras":{"pairs":"two_forwards"},"layer":"none",'
        b'"name":"letters","needs":[],"pooling":"mean","reverse_complement":false,"revision":"' + b"0" * 64 + b'"}'
    )
    assert SPEC.fingerprint == hashlib.sha256(canonical).hexdigest()


def test_sequences_of_mixed_lengths_are_never_padded_and_keep_their_order():
    encoder = LetterEncoder()
    vectors = encoder.embed(padded("ACGT", "A", "CC", "AAAC"))
    assert vectors.tolist() == [[0.25, 0.25], [1, 0], [0, 1], [0.75, 0.25]]
    assert encoder.batches == [(1, 1), (1, 2), (2, 4)]


def test_batches_hold_at_most_the_tokens_asked_for_and_at_least_one_window():
    encoder = LetterEncoder(batch_tokens=20)
    encoder.embed(random_windows(5, 8))
    assert encoder.batches == [(2, 8), (2, 8), (1, 8)]
    encoder = LetterEncoder(batch_tokens=1)
    encoder.embed(random_windows(2, 8))
    assert encoder.batches == [(1, 8), (1, 8)]


def test_no_windows_give_no_vectors():
    assert LetterEncoder().embed(np.empty((0, 8), np.uint8)).shape == (0, 2)


def test_pairs_give_the_reference_and_the_difference_and_share_reference_windows():
    encoder = LetterEncoder()
    ref, var = padded("GGGG", "TTTT", "GGGG"), padded("AGGG", "TTTC", "GGCC")
    ref_vectors, delta = encoder.embed_pairs(ref, var, np.zeros(3, np.int16))
    assert ref_vectors.tolist() == [[0, 0]] * 3
    assert delta.tolist() == [[0.25, 0], [0, 0.25], [0, 0.5]]
    assert encoder.batches == [(2, 4), (3, 4)]
    assert ref_vectors.dtype == delta.dtype == np.float32


def test_an_empty_sequence_is_an_error_that_names_it():
    with pytest.raises(EncoderError, match="sequence 1 is empty"):
        LetterEncoder().embed(padded("A", ""))


def test_a_sequence_beyond_the_context_is_an_error_that_names_it_and_the_limit():
    with pytest.raises(EncoderError, match=r"sequence 1 has 17 bases.*at most 16"):
        LetterEncoder().embed(padded("A", "C" * 17))
