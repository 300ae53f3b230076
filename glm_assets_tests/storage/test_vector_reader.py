"""Pairs that were found once can be read in any order, as often as one likes, whatever happens to the store."""

from __future__ import annotations

import numpy as np
import pytest

from glm_assets.errors import FormatError, MissingUpstreamError
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets_tests.storage.stores import add, keys_of, vectors_of


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_any_pairs_come_in_the_order_asked_for_across_shards(tmp_path, dtype):
    store = EmbeddingStore(tmp_path, dtype)
    for rows in ([8, 3, 5], [0, 1, 2, 4], [6, 7]):
        add(store, *rows)
    keys = keys_of(*range(9), 3)
    pairs = store.open_pairs(keys)
    assert (len(pairs), pairs.dimension) == (10, 4)
    ref, delta = vectors_of(keys)
    for at in ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [7, 7, 0, 9, 3], [4], []):
        out = np.empty((len(at), 2, 4), dtype)
        pairs.read_into(out, np.array(at, dtype=np.int64))
        assert (out[:, 0] == ref[at].astype(dtype)).all()
        assert (out[:, 1] == delta[at].astype(dtype)).all()


def test_pairs_that_were_found_stay_readable_when_the_store_grows(tmp_path):
    store = EmbeddingStore(tmp_path)
    keys = add(store, "a", "b")
    pairs = store.open_pairs(keys)
    add(store, "b", "c")
    out = np.empty((2, 2, 4), np.float32)
    pairs.read_into(out, np.array([1, 0]))
    assert (out[:, 0] == vectors_of(keys)[0][::-1]).all()


def test_an_absent_key_and_a_single_vector_are_refused(tmp_path):
    store = EmbeddingStore(tmp_path)
    add(store, "a")
    with pytest.raises(MissingUpstreamError, match="1 of 2 keys"):
        store.open_pairs(keys_of("a", "b"))
    store.append_sequences(keys_of("s"), np.ones((1, 4), np.float32))
    with pytest.raises(FormatError, match="pairs have two"):
        store.open_pairs(keys_of("s"))
