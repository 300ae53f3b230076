"""Facts about stored vectors."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
import pytest

from glm_assets.encoders import summary
from glm_assets.encoders.summary import VectorSummary, summarise_sequences, summarise_vectors
from glm_assets.storage.embeddings import EmbeddingStore


def stored(tmp_path, ref, delta):
    keys = pl.Series([hashlib.sha256(str(row).encode()).hexdigest() for row in range(len(ref))])
    store = EmbeddingStore(tmp_path)
    store.append(keys, np.array(ref, np.float32), np.array(delta, np.float32))
    return pl.DataFrame({"key": keys}), store


def test_norms_and_lost_differences_are_counted_over_all_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(summary, "_ROWS_AT_A_TIME", 2)
    index, store = stored(tmp_path, [[3, 4], [0, 1], [2, 0], [0, 2]], [[0.5, 0], [0, 0], [0, 1], [1, 0]])
    assert summarise_vectors(index, store) == VectorSummary(
        rows=4,
        finite=True,
        norm_min=1,
        norm_median=2,
        norm_max=5,
        zero_delta_share=0.25,
        relative_delta_median=pytest.approx(0.3),
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_seen(tmp_path, bad):
    assert not summarise_vectors(*stored(tmp_path, [[1, 1]], [[bad, 0]])).finite


def test_sequences_have_norms_but_no_differences(tmp_path):
    keys = pl.Series([hashlib.sha256(name).hexdigest() for name in (b"a", b"b")])
    store = EmbeddingStore(tmp_path)
    store.append_sequences(keys, np.array([[3, 4], [0, 1]], np.float32))
    assert summarise_sequences(keys, store) == VectorSummary(2, True, 1, 3, 5)


def test_no_rows_are_sound(tmp_path):
    assert (
        summarise_vectors(pl.DataFrame({"key": []}, schema={"key": pl.String}), EmbeddingStore(tmp_path)).rows == 0
    )
