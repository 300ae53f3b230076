"""Several layers of one forward: equal to each layer's own encoder, and never computed twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

pytest.importorskip("vortex")

from glm_assets.encoders.embed import InProcess, embed_variants
from glm_assets.encoders.registry import encoder_spec, make_encoder
from glm_assets.encoders.shards import window_matrix
from glm_assets.encoders.sweep import sweep_layers
from glm_assets.errors import EncoderError
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets_tests.encoders.conftest import LAYER, variant_frame

LAYERS = ["blocks.2.mlp.l3", "blocks.10", LAYER]


def sweep(frame, spec, load, store, layers=LAYERS):
    return sweep_layers(frame, layers, spec, load, store, {}, shard_rows=6, progress=lambda line: None)


@pytest.mark.parametrize("pooling", ["mean", "downstream:16"])
def test_each_layers_vectors_are_those_of_its_own_encoder(tmp_path, weights, pooling):
    spec = encoder_spec("demo", revision="0", layer=LAYER, pooling=pooling, device="cpu")
    frame = variant_frame(4).sample(fraction=1, shuffle=True, seed=1)
    store = EmbeddingStore(tmp_path / "sweep")
    keys = sweep(frame, spec, lambda: make_encoder(spec, weights=weights, device="cpu"), store)
    for layer in LAYERS:
        own = replace(spec, layer=layer)
        alone = EmbeddingStore(tmp_path / layer)
        engine = InProcess(lambda own=own: make_encoder(own, weights=weights, device="cpu"), alone)
        index, _ = embed_variants(frame, own, engine, alone, {}, shard_rows=64, progress=lambda line: None)
        assert keys[layer].equals(index["key"])
        expected = alone.read(index["key"])
        for mine, theirs in zip(store.read(keys[layer]), expected, strict=True):
            assert np.abs(mine - theirs).max() <= 1e-6 * np.linalg.norm(expected[0], axis=1).max()


def test_what_is_there_is_not_computed_again(tmp_path, spec, weights):
    store, frame, loads = EmbeddingStore(tmp_path), variant_frame(4), []

    def load():
        loads.append(make_encoder(spec, weights=weights, device="cpu"))
        return loads[-1]

    engine = InProcess(load, store)
    embed_variants(frame, spec, engine, store, {}, shard_rows=64, progress=lambda line: None)
    shards = len(list(tmp_path.glob("*.npy")))
    sweep(frame, spec, load, store)
    assert len(list(tmp_path.glob("*.npy"))) == shards + 2 * 2  # two layers in two shards: the third was there
    sweep(frame, spec, load, store)
    assert len(loads) == 2
    more = variant_frame(5)  # four of its five windows are the frame's
    sweep(more, spec, load, store)
    assert loads[-1].windows_computed == 1 + 2


def test_rows_in_any_order_and_twice_cost_each_reference_and_variant_once(tmp_path, spec, weights):
    frame = variant_frame(4).sample(fraction=1, shuffle=True, seed=2)
    encoder = make_encoder(spec, weights=weights, device="cpu")
    keys = sweep_layers(
        pl.concat([frame, frame]),
        LAYERS,
        spec,
        lambda: encoder,
        EmbeddingStore(tmp_path),
        {},
        shard_rows=1,
        progress=lambda line: None,
    )
    assert encoder.windows_computed == 4 + 8
    assert {len(column) for column in keys.values()} == {16}


def test_a_single_layer_other_than_the_encoders_own_is_that_layer(weights):
    own = encoder_spec("demo", revision="0", layer="blocks.3", pooling="downstream:16", device="cpu")
    deep = encoder_spec("demo", revision="0", layer=LAYER, pooling="downstream:16", device="cpu")
    frame = variant_frame(2)
    pair = window_matrix(frame["ref_seq"]), window_matrix(frame["var_seq"]), frame["variant_offset"].to_numpy()
    expected = make_encoder(own, weights=weights, device="cpu").embed_pairs(*pair)
    found = make_encoder(deep, weights=weights, device="cpu").embed_pairs_at(["blocks.3"], *pair)[0]
    assert np.abs(found - np.stack(expected)).max() <= 1e-6 * np.abs(expected[0]).max()


def test_a_layer_that_needs_a_hook_is_refused(encoder):
    with pytest.raises(EncoderError, match="cannot be had from one forward"):
        encoder.embed_pairs_at(["blocks.6.projections"], *[np.zeros((1, 8), np.uint8)] * 2, np.zeros(1, int))
