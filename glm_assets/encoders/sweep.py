"""Many layers from one forward: the vectors of a sample of variants at each, for finding the layer to use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.keys import pair_keys
from glm_assets.encoders.progress import ProgressLine
from glm_assets.encoders.shards import pair_shards, window_matrix
from glm_assets.storage.embeddings import EmbeddingStore, Vectors


class LayeredEncoder(Protocol):
    """An encoder that gives several layers at once."""

    def embed_pairs_at(
        self, layers: Sequence[str], ref: NDArray[np.uint8], var: NDArray[np.uint8], offset: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """(layers, 2, n, dimension) reference vectors and differences."""
        ...


def sweep_layers(
    windows: pl.DataFrame,
    layers: Sequence[str],
    spec: EncoderSpec,
    load: Callable[[], LayeredEncoder],
    store: EmbeddingStore,
    recipe: Mapping[str, Any],
    *,
    shard_rows: int,
    progress: Callable[[str], None],
) -> dict[str, pl.Series]:
    """Bring the vectors of variants at several layers into the store, each under its own layer's keys.

    What a layer's own embedding run has stored, or another sweep, is not computed again, nor the other way round.

    Args:
        windows: Rows of the table `variant_windows`.
        layers: Blocks, their `mlp` or `mlp.l3`.
        spec: Of the encoder at any of them; all else than the layer holds for every one.
        load: Loads the encoder at the deepest layer; called only when something is missing.
        store: Receives the vectors.
        recipe: The window recipe, JSON-able; a part of the keys.
        shard_rows: Variants in a shard.
        progress: Called with a line now and then.

    Returns:
        For each layer the keys of the rows in order.
    """
    keys = {layer: pair_keys(windows, replace(spec, layer=layer).fingerprint, recipe) for layer in layers}
    missing = {layer: store.missing(column) for layer, column in keys.items()}
    todo = windows.with_row_index("number").with_columns(keys[layers[0]])
    todo = todo.filter(np.any(list(missing.values()), axis=0)).unique("key", maintain_order=True)
    if not todo.height:
        return keys
    encoder, line = load(), ProgressLine(progress, "variants at all layers", todo.height)
    for shard in pair_shards(todo, shard_rows):
        pair = (
            window_matrix(shard["ref_seq"]),
            window_matrix(shard["var_seq"]),
            shard["variant_offset"].to_numpy(),
        )
        found = encoder.embed_pairs_at(layers, *pair)
        rows = shard["number"].to_numpy()
        for layer, vectors in zip(layers, found, strict=True):
            _append_missing(store, keys[layer].gather(rows), vectors, missing[layer][rows])
        line.advance(len(shard))
    return keys


def _append_missing(store: EmbeddingStore, keys: pl.Series, vectors: Vectors, missing: NDArray[np.bool_]) -> None:
    rows = np.flatnonzero(missing)
    if rows.size:
        store.append(keys.gather(rows), vectors[0][rows], vectors[1][rows])
