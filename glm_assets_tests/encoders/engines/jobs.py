"""Jobs of the demo's encoder, shards for them, and what the vectors must be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.embed import InProcess, embed_variants, read_vectors
from glm_assets.encoders.engines.job import EmbedJob
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets_tests.encoders.conftest import variant_frame


def demo_job(spec: EncoderSpec, weights: Path, store: Path) -> EmbedJob:
    return EmbedJob(spec, str(weights), "cpu", 4096, 1, str(store), "float32")


def embed(windows: pl.DataFrame, job: EmbedJob, engine, shard_rows: int):
    """The vectors that an engine brings into the job's store, and the report."""
    store = job.open_store()
    index, report = embed_variants(
        windows, job.spec, engine, store, {}, shard_rows=shard_rows, progress=lambda line: None
    )
    return read_vectors(index, store), report


def assert_as_in_process(windows, job: EmbedJob, found, folder: Path, shard_rows: int) -> None:
    """The vectors are bit for bit those that one process computes from the same shards."""
    alone = EmbedJob(**vars(job) | {"store": str(folder)})
    expected, _ = embed(windows, alone, InProcess(alone.load, alone.open_store()), shard_rows)
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def published(store: Path) -> int:
    """Shards in a store; those of one row are the encoder's probe."""
    return sum(pq.read_metadata(path).num_rows > 1 for path in store.glob("[!.]*.parquet"))


def make_shards(count: int, rows: int = 4) -> list[pl.DataFrame]:
    """Shards as the loop cuts them."""
    taken: list[pl.DataFrame] = []

    class Taker:
        def run(self, shards) -> Iterator:
            taken.extend(shards)
            return iter(())

    spec = EncoderSpec(
        name="none", revision="0", layer="none", pooling="mean", dimension=3, context=1024, dtype="float32"
    )
    store = EmbeddingStore(Path("/nowhere"))
    frame = variant_frame(count * rows // 2)
    embed_variants(frame, spec, Taker(), store, {}, shard_rows=rows, progress=lambda line: None)
    return taken
