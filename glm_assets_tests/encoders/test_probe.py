"""The pinned probe: what it compares, what it lets pass and what it refuses."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from glm_assets.encoders.probe import check_probe, probe_pair
from glm_assets.errors import EncoderError
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets_tests.encoders.test_embed import CountingEncoder


class Drifting(CountingEncoder):
    """Gives vectors that are longer by a factor: as if a driver had changed."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def embed_batch(self, windows):
        return super().embed_batch(windows) * np.float32(self.factor)


def test_the_probe_is_pinned():
    """Another probe would compare nothing with what stores hold."""
    ref, var, offset = probe_pair(256)
    assert (
        hashlib.sha256(ref.tobytes() + var.tobytes()).hexdigest()
        == "8c9d17dbc4d0b26a605c3ffe6ce10d6f26e88ece8a1ce34c0d285da5cf18aaa7"
    )
    assert np.flatnonzero(ref[0] != var[0]).tolist() == offset.tolist() == [128]
    assert set(ref.tobytes()) == set(b"ACGTN")


def test_the_first_time_leaves_the_vectors_and_later_times_compare_with_them(tmp_path):
    encoder = CountingEncoder()
    assert check_probe(encoder, EmbeddingStore(tmp_path)) == encoder.probe_drift == 0.0
    assert (encoder.windows_computed, encoder.tokens_computed) == (0, 0)
    assert check_probe(CountingEncoder(), EmbeddingStore(tmp_path)) == 0.0
    assert check_probe(Drifting(1.0005), EmbeddingStore(tmp_path)) == pytest.approx(0.5, rel=0.01)
    assert len(list(tmp_path.glob("*.npy"))) == 1


def test_another_encoder_has_a_probe_of_its_own(tmp_path):
    check_probe(CountingEncoder(), EmbeddingStore(tmp_path))
    assert check_probe(CountingEncoder(revision="1" * 64), EmbeddingStore(tmp_path)) == 0.0
    assert len(list(tmp_path.glob("*.npy"))) == 2


@pytest.mark.parametrize("factor", [1.0041, float("nan")])
def test_vectors_beyond_rounding_are_refused_before_any_is_stored(tmp_path, factor):
    store = EmbeddingStore(tmp_path)
    check_probe(CountingEncoder(), store)
    encoder = Drifting(factor)
    with pytest.raises(EncoderError, match=r"no longer gives the vectors.*at most 4 times"):
        check_probe(encoder, store)
    assert len(list(tmp_path.glob("*.npy"))) == 1


def test_a_drift_between_rounding_and_refusal_is_reported(tmp_path):
    store = EmbeddingStore(tmp_path)
    check_probe(CountingEncoder(), store)
    encoder = Drifting(1.0039)
    assert check_probe(encoder, store) == encoder.probe_drift == pytest.approx(3.9, rel=0.01)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float32_residual", "bfloat16x2"])
@pytest.mark.parametrize(("factor", "fine", "coarse"), [(0.0, 200, 5), (0.9, 20, 0.5), (-1.0, 400, 10)])
def test_a_wrong_difference_is_seen_beside_a_right_reference_vector(tmp_path, dtype, factor, fine, coarse):
    class Odd(CountingEncoder):
        def __init__(self, factor):
            super().__init__()
            self.spec, self.factor = replace(self.spec, dtype=dtype), np.float32(factor)

        def embed_pairs(self, *pairs):
            ref, delta = super().embed_pairs(*pairs)
            return ref, delta * self.factor

    store, odd = EmbeddingStore(tmp_path), Odd(factor)
    check_probe(Odd(1), store)
    drift = fine if dtype in ("float32", "bfloat16x2") else coarse
    if drift > 4:
        with pytest.raises(EncoderError, match=f"off by {drift} times"):
            check_probe(odd, store)
    else:
        assert check_probe(odd, store) == pytest.approx(drift, rel=0.01)


def test_the_probe_fits_a_store_of_half_precision(tmp_path, encoder):
    store = EmbeddingStore(tmp_path, "float16")
    check_probe(encoder, store)
    assert check_probe(encoder, store) < 1
    assert not store.missing(
        pl.Series([hashlib.sha256(f"probe|{encoder.spec.fingerprint}".encode()).hexdigest()])
    ).any()
