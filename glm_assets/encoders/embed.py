"""The embedding loop: computes only vectors that the store lacks, and publishes them shard by shard.

A shard is the unit of work that a kill can cost. Everything is done in an order that depends on the rows only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.base import Encoder
from glm_assets.encoders.keys import pair_keys, sequence_keys
from glm_assets.encoders.progress import ProgressLine
from glm_assets.errors import FormatError
from glm_assets.storage.embeddings import EmbeddingStore, Vectors

Progress = Callable[[str], None]

_IDENTITY = ("variation_id", "chrom", "pos", "ref", "alt")


@dataclass(frozen=True)
class EmbedReport:
    """What a run of the loop had to do and how fast it was.

    Attributes:
        rows: Variants or sequences asked for.
        cache_hits: Rows whose vectors were in the store already.
        distinct_references: Different reference windows among the rows that were computed; 0 for sequences.
        windows_computed: Windows that went through the model, reference and variant windows alike.
        tokens_computed: Bases computed for them; a prefix that a variant's window shares with its reference's
            counts once where the encoder computes it once.
        seconds: Time spent on computing and storing.
        device: Where the encoder computed.
    """

    rows: int
    cache_hits: int
    distinct_references: int
    windows_computed: int
    tokens_computed: int
    seconds: float
    device: str

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
    encoder: Encoder,
    store: EmbeddingStore,
    recipe: Mapping[str, Any],
    *,
    shard_rows: int,
    progress: Progress,
) -> tuple[pl.DataFrame, EmbedReport]:
    """Bring the vectors of variants into the store.

    A reference window that several variants share is embedded once.

    Args:
        windows: Rows of the table `variant_windows`.
        encoder: Makes the vectors.
        store: Receives them.
        recipe: The window recipe, JSON-able; a part of the keys.
        shard_rows: Variants in a shard, or a few more: rows that share a reference window stay together.
        progress: Called with a line now and then.

    Returns:
        The rows of the table `variant_embeddings` in the order of `windows`, and the report.
    """
    store.sweep()
    before = _work_done(encoder)
    keys = pair_keys(windows, encoder.spec.fingerprint, recipe)
    missing = store.missing(keys)
    todo = windows.with_columns(keys).filter(missing).unique("key", maintain_order=True)
    start = time.monotonic()
    line = ProgressLine(progress, "variants", len(todo))
    for shard in _pair_shards(todo, shard_rows):
        ref, var = window_matrix(shard["ref_seq"]), window_matrix(shard["var_seq"])
        store.append(shard["key"], *encoder.embed_pairs(ref, var, shard["variant_offset"].to_numpy()))
        line.advance(len(shard))
    report = _report(encoder, before, missing, todo["ref_digest"].n_unique(), time.monotonic() - start)
    return windows.select(*_IDENTITY, keys), report


def embed_sequences(
    sequences: pl.Series, encoder: Encoder, store: EmbeddingStore, *, shard_rows: int, progress: Progress
) -> tuple[pl.Series, EmbedReport]:
    """Bring the vectors of single sequences into the store; equal sequences are embedded once.

    Args:
        sequences: ASCII text, upper case, none empty and none longer than the encoder's context.
        encoder: Makes the vectors.
        store: Receives them.
        shard_rows: Sequences in a shard.
        progress: Called with a line now and then.

    Returns:
        The key of each sequence in order, and the report.
    """
    store.sweep()
    before = _work_done(encoder)
    keys = sequence_keys(sequences, encoder.spec.fingerprint)
    missing = store.missing(keys)
    todo = pl.DataFrame({"key": keys, "seq": sequences}).filter(missing).unique("key", maintain_order=True)
    todo = todo.sort(pl.col("seq").str.len_bytes(), maintain_order=True)  # equal lengths share batches
    start = time.monotonic()
    line = ProgressLine(progress, "sequences", len(todo))
    for shard in todo.iter_slices(shard_rows):
        store.append_sequences(shard["key"], encoder.embed(window_matrix(shard["seq"])))
        line.advance(len(shard))
    return keys, _report(encoder, before, missing, 0, time.monotonic() - start)


def read_vectors(index: pl.DataFrame, store: EmbeddingStore) -> tuple[Vectors, Vectors]:
    """Vectors of the rows of the table `variant_embeddings`.

    Args:
        index: Rows with `key`.
        store: Where the vectors lie.

    Returns:
        Reference vectors and differences variant - reference, each (n, dimension) float32, in the rows' order.
    """
    return store.read(index["key"])


def window_matrix(sequences: pl.Series) -> NDArray[np.uint8]:
    """Lay sequences out as rows of ASCII bytes.

    Args:
        sequences: n ASCII texts.

    Returns:
        (n, longest) uint8, shorter ones padded on the right with zero bytes.

    Raises:
        FormatError: A sequence holds a character that is not ASCII.
    """
    longest = int(sequences.str.len_bytes().to_numpy().max(initial=0))
    joined = "".join(sequences.str.pad_end(longest, "\0").to_list()).encode()
    if len(joined) != len(sequences) * longest:
        raise FormatError("a sequence holds a character that is not ASCII", expected="A, C, G, T or N")
    return np.frombuffer(joined, np.uint8).reshape(len(sequences), longest)


def _pair_shards(todo: pl.DataFrame, shard_rows: int) -> list[pl.DataFrame]:
    """Cut rows into shards, never between two that share a reference window."""
    grouped = (
        todo.with_row_index("row")
        .with_columns(group=pl.col("row").min().over("ref_digest"))
        .sort("group", "row")
        .with_row_index("place")
        .with_columns(shard=pl.col("place").min().over("group") // shard_rows)
    )
    return grouped.partition_by("shard", maintain_order=True)


def _work_done(encoder: Encoder) -> tuple[int, int]:
    return encoder.windows_computed, encoder.tokens_computed


def _report(
    encoder: Encoder, before: tuple[int, int], missing: NDArray[np.bool_], references: int, seconds: float
) -> EmbedReport:
    windows, tokens = _work_done(encoder)
    return EmbedReport(
        rows=len(missing),
        cache_hits=int((~missing).sum()),
        distinct_references=references,
        windows_computed=windows - before[0],
        tokens_computed=tokens - before[1],
        seconds=seconds,
        device=encoder.device_name,
    )
