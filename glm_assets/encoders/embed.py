"""The embedding loop: plans only vectors that the store lacks, and has them computed and published shard by shard.

A shard is the unit of work that a kill can cost. Which shards there are depends on the rows only; an `Engine` decides
where they are computed: in this process, or by workers elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.base import Encoder, EncoderSpec, Flops
from glm_assets.encoders.keys import pair_keys, sequence_keys
from glm_assets.encoders.progress import ProgressLine
from glm_assets.encoders.shards import REVERSE_WINDOW, ShardReport, embed_shard, pair_shards
from glm_assets.storage.embeddings import EmbeddingStore, Vectors

Progress = Callable[[str], None]

_IDENTITY = ("variation_id", "chrom", "pos", "ref", "alt")
_SHARD_COLUMNS = ("key", "ref", "variant_offset", "ref_seq", "var_seq", "ref_digest")


class Engine(Protocol):
    """Computes shards and publishes their vectors in the store."""

    def run(self, shards: Sequence[pl.DataFrame]) -> Iterator[ShardReport]:
        """Compute the shards in any order; a report follows as soon as a shard is in the store.

        Args:
            shards: Rows that `embed_shard` takes.
        """
        ...


@dataclass(frozen=True)
class InProcess:
    """The engine that computes here, one shard after the other.

    Attributes:
        load: Loads the encoder; called once, and only when there is something to compute.
        store: Receives the vectors.
    """

    load: Callable[[], Encoder]
    store: EmbeddingStore

    def run(self, shards: Sequence[pl.DataFrame]) -> Iterator[ShardReport]:
        """See `Engine.run`."""
        if not shards:
            return
        encoder = self.load()
        for shard in shards:
            yield embed_shard(shard, encoder, self.store)


@dataclass(frozen=True)
class EmbedReport:
    """What a run of the loop had to do and how fast it was.

    Attributes:
        rows: Variants or sequences asked for.
        cache_hits: Rows whose vectors were in the store already.
        distinct_references: Different reference windows among the rows that were computed; 0 for sequences.
        windows_computed: Windows that went through the model.
        tokens_computed: Bases computed for them.
        flops: What that cost and what was saved.
        seconds: Time spent on computing and storing, loading the model included.
        devices: Where the encoders computed, with how many shards each.
        peak_memory: Most bytes of a GPU's memory used by one encoder; 0 on CPUs.
        probe_drift: Largest of the encoders' drifts; None where nothing was computed.
    """

    rows: int
    cache_hits: int
    distinct_references: int
    windows_computed: int
    tokens_computed: int
    flops: Flops
    seconds: float
    devices: Mapping[str, int]
    peak_memory: int
    probe_drift: float | None

    @property
    def windows_per_second(self) -> float:
        """Rate of the windows that were computed."""
        return self.windows_computed / self.seconds if self.seconds else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Rate of the bases that were computed."""
        return self.tokens_computed / self.seconds if self.seconds else 0.0


def embed_variants(
    windows: pl.DataFrame,
    spec: EncoderSpec,
    engine: Engine,
    store: EmbeddingStore,
    recipe: Mapping[str, Any],
    *,
    shard_rows: int,
    progress: Progress,
) -> tuple[pl.DataFrame, EmbedReport]:
    """Bring the vectors of variants into the store.

    A reference window that several variants share is embedded once.

    Args:
        windows: Rows of the table `variant_windows`; with `reverse_var_seq` besides where both strands are wanted.
        spec: What the vectors are.
        engine: Computes them.
        store: Receives them.
        recipe: The window recipe, JSON-able; a part of the keys.
        shard_rows: Variants in a shard, or a few more: rows that share a reference window stay together.
        progress: Called with a line now and then.

    Returns:
        The rows of the table `variant_embeddings` in the order of `windows`, and the report.
    """
    keys, report = embed_windows(windows, spec, engine, store, recipe, shard_rows=shard_rows, progress=progress)
    return windows.select(*_IDENTITY, keys), report


def embed_windows(
    windows: pl.DataFrame,
    spec: EncoderSpec,
    engine: Engine,
    store: EmbeddingStore,
    recipe: Mapping[str, Any],
    *,
    shard_rows: int,
    progress: Progress,
) -> tuple[pl.Series, EmbedReport]:
    """Bring the vectors of pairs of windows into the store, whatever the pairs are.

    Args:
        windows: Columns `ref`, `alt`, `variant_offset`, `ref_seq`, `var_seq`, `ref_digest` and `var_digest` as in the
            table `variant_windows`; with `reverse_var_seq` besides where both strands are wanted.
        spec: What the vectors are.
        engine: Computes them.
        store: Receives them.
        recipe: The window recipe, JSON-able; a part of the keys.
        shard_rows: Pairs in a shard, or a few more.
        progress: Called with a line now and then.

    Returns:
        The key of each row in order, and the report.
    """
    store.sweep()
    keys = pair_keys(windows, spec.fingerprint, recipe)
    missing = store.missing(keys)
    columns = [*_SHARD_COLUMNS, *([REVERSE_WINDOW] if spec.reverse_complement else [])]
    todo = windows.with_columns(keys).filter(missing).unique("key", maintain_order=True).select(columns)
    references = todo["ref_digest"].n_unique()
    return keys, _run(engine, pair_shards(todo, shard_rows), "variants", missing, progress, references=references)


def embed_sequences(
    sequences: pl.Series,
    spec: EncoderSpec,
    engine: Engine,
    store: EmbeddingStore,
    *,
    shard_rows: int,
    progress: Progress,
) -> tuple[pl.Series, EmbedReport]:
    """Bring the vectors of single sequences into the store; equal sequences are embedded once.

    Args:
        sequences: ASCII text, upper case, none empty and none longer than the encoder's context.
        spec: What the vectors are.
        engine: Computes them.
        store: Receives them.
        shard_rows: Sequences in a shard.
        progress: Called with a line now and then.

    Returns:
        The key of each sequence in order, and the report.
    """
    store.sweep()
    keys = sequence_keys(sequences, spec.fingerprint)
    missing = store.missing(keys)
    todo = pl.DataFrame({"key": keys, "seq": sequences}).filter(missing).unique("key", maintain_order=True)
    todo = todo.sort(pl.col("seq").str.len_bytes(), maintain_order=True)  # equal lengths share batches
    return keys, _run(
        engine, list(todo.iter_slices(shard_rows)) if todo.height else [], "sequences", missing, progress
    )


def read_vectors(index: pl.DataFrame, store: EmbeddingStore) -> tuple[Vectors, Vectors]:
    """Vectors of the rows of the table `variant_embeddings`.

    Args:
        index: Rows with `key`.
        store: Where the vectors lie.

    Returns:
        Reference vectors and differences variant - reference, each (n, dimension) float32, in the rows' order.
    """
    return store.read(index["key"])


def _run(
    engine: Engine,
    shards: list[pl.DataFrame],
    what: str,
    missing: NDArray[np.bool_],
    progress: Progress,
    *,
    references: int = 0,
) -> EmbedReport:
    """Have the shards computed, with a line about it now and then."""
    start = time.monotonic()
    line = ProgressLine(progress, what, sum(map(len, shards)))
    windows, tokens, flops, memory = 0, 0, Flops(), 0
    devices: dict[str, int] = {}
    drifts: list[float] = []
    for done in engine.run(shards):
        line.advance(done.rows)
        windows, tokens, flops = windows + done.windows_computed, tokens + done.tokens_computed, flops + done.flops
        devices[done.device] = devices.get(done.device, 0) + 1
        memory = max(memory, done.peak_memory)
        drifts += [] if done.probe_drift is None else [done.probe_drift]
    return EmbedReport(
        rows=len(missing),
        cache_hits=int((~missing).sum()),
        distinct_references=references,
        windows_computed=windows,
        tokens_computed=tokens,
        flops=flops,
        seconds=time.monotonic() - start,
        devices=devices,
        peak_memory=memory,
        probe_drift=max(drifts, default=None),
    )
