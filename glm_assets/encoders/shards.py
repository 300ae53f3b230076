"""One shard of work: rows go in, their vectors go to the store, and a report says what it took."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.base import Encoder, Flops
from glm_assets.errors import FormatError
from glm_assets.genome.alphabet import reverse_complement
from glm_assets.storage.embeddings import EmbeddingStore, Vectors

REVERSE_WINDOW = "reverse_var_seq"  # the variant's window on the other strand, where both are embedded


@dataclass(frozen=True)
class ShardReport:
    """What computing one shard took.

    Attributes:
        rows: Variants or sequences.
        windows_computed: Windows that went through the model, reference and variant windows alike.
        tokens_computed: Bases computed for them; a prefix that a variant's window shares with its reference's
            counts once where the encoder computes it once.
        flops: What that cost and what was saved, where the encoder can tell.
        device: Where it was computed.
        peak_memory: Most bytes of that GPU's memory used so far; 0 where there is none.
        probe_drift: How far the encoder's probe is from the one in the store, where that was asked.
    """

    rows: int
    windows_computed: int
    tokens_computed: int
    flops: Flops
    device: str
    peak_memory: int = 0
    probe_drift: float | None = None


def embed_shard(shard: pl.DataFrame, encoder: Encoder, store: EmbeddingStore) -> ShardReport:
    """Compute one shard and publish its vectors.

    Args:
        shard: Columns `key`, `ref_seq`, `var_seq`, `variant_offset`, `ref` and, for both strands, `reverse_var_seq`;
            or `key` and `seq`.
        encoder: Makes the vectors.
        store: Receives them.

    Returns:
        What it took.
    """
    before = encoder.windows_computed, encoder.tokens_computed, encoder.flops
    if "seq" in shard.columns:
        store.append_sequences(shard["key"], _sequence_vectors(shard["seq"], encoder))
    else:
        store.append(shard["key"], *_pair_vectors(shard, encoder))
    return ShardReport(
        rows=len(shard),
        windows_computed=encoder.windows_computed - before[0],
        tokens_computed=encoder.tokens_computed - before[1],
        flops=encoder.flops - before[2],
        device=encoder.device_name,
        peak_memory=encoder.peak_memory,
        probe_drift=encoder.probe_drift,
    )


def _sequence_vectors(sequences: pl.Series, encoder: Encoder) -> Vectors:
    windows = window_matrix(sequences)
    vectors = encoder.embed(windows)
    if not encoder.spec.reverse_complement:
        return vectors
    other = [reverse_complement(window[window != 0]).tobytes().decode("ascii") for window in windows]
    return _mean(vectors, encoder.embed(window_matrix(pl.Series(other, dtype=pl.String))))


def _pair_vectors(shard: pl.DataFrame, encoder: Encoder) -> tuple[Vectors, Vectors]:
    """Reference vectors and differences, means over both strands where the specification says so."""
    ref, offset = window_matrix(shard["ref_seq"]), shard["variant_offset"].to_numpy()
    vectors, delta = encoder.embed_pairs(ref, window_matrix(shard["var_seq"]), offset)
    if not encoder.spec.reverse_complement:
        return vectors, delta
    # On the other strand the variant begins where REF ends on this one.
    other_offset = ref.shape[1] - offset - shard["ref"].str.len_bytes().to_numpy()
    other = encoder.embed_pairs(reverse_complement(ref), window_matrix(shard[REVERSE_WINDOW]), other_offset)
    return _mean(vectors, other[0]), _mean(delta, other[1])


def _mean(this: Vectors, other: Vectors) -> Vectors:
    return (this + other) * np.float32(0.5)


def pair_shards(todo: pl.DataFrame, shard_rows: int) -> list[pl.DataFrame]:
    """Cut rows into shards, never between two that share a reference window.

    Args:
        todo: Rows with `ref_digest`.
        shard_rows: In a shard, or a few more.
    """
    if not todo.height:
        return []
    grouped = (
        todo.with_row_index("row")
        .with_columns(group=pl.col("row").min().over("ref_digest"))
        .sort("group", "row")
        .with_row_index("place")
        .with_columns(shard=pl.col("place").min().over("group") // shard_rows)
        .drop("row", "group", "place")
    )
    return grouped.partition_by("shard", maintain_order=True, include_key=False)


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
