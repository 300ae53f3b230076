"""Facts about stored vectors that tell sound ones from broken ones at a glance."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.storage.embeddings import EmbeddingStore, Vectors

_ROWS_AT_A_TIME = 8192


@dataclass(frozen=True)
class VectorSummary:
    """What some stored vectors look like.

    Attributes:
        rows: Variants or sequences looked at.
        finite: Whether every number is finite.
        norm_min: Smallest norm of a reference (or sequence) vector.
        norm_median: Median norm of these vectors.
        norm_max: Largest norm of these vectors.
        zero_delta_share: Share of variants whose difference is exactly zero, which the model or the storage lost;
            None for sequences.
        relative_delta_median: Median norm of the differences relative to the reference vectors; None for sequences.
    """

    rows: int
    finite: bool
    norm_min: float
    norm_median: float
    norm_max: float
    zero_delta_share: float | None = None
    relative_delta_median: float | None = None


def summarise_vectors(index: pl.DataFrame, store: EmbeddingStore) -> VectorSummary:
    """Describe the vectors of variants, read piece by piece.

    Args:
        index: Rows with `key`, as of the table `variant_embeddings`.
        store: Where the vectors lie.
    """
    pairs = [[_norms(part) for part in store.read(keys)] for keys in _pieces(index["key"])]
    norm = np.concatenate([np.empty(0), *(ref for ref, _ in pairs)])
    change = np.concatenate([np.empty(0), *(delta for _, delta in pairs)])
    summary = _summary_of(norm)
    if not norm.size:
        return summary
    return replace(
        summary,
        finite=summary.finite and bool(np.isfinite(change).all()),
        zero_delta_share=float((change == 0).mean()),
        relative_delta_median=float(np.median(change / np.maximum(norm, np.finfo(np.float64).tiny))),
    )


def summarise_sequences(
    keys: pl.Series, store: EmbeddingStore, *, rows_at_a_time: int = _ROWS_AT_A_TIME
) -> VectorSummary:
    """Describe the vectors of single sequences, read piece by piece.

    Args:
        keys: Their keys.
        store: Where the vectors lie.
        rows_at_a_time: Vectors in memory at once.
    """
    norms = [_norms(store.read_sequences(piece)) for piece in _pieces(keys, rows_at_a_time)]
    return _summary_of(np.concatenate([np.empty(0), *norms]))


def _pieces(keys: pl.Series, rows: int = _ROWS_AT_A_TIME) -> list[pl.Series]:
    return [keys[start : start + rows] for start in range(0, len(keys), rows)]


def _norms(vectors: Vectors) -> NDArray[np.float64]:
    return np.linalg.norm(vectors.astype(np.float64), axis=1)


def _summary_of(norm: NDArray[np.float64]) -> VectorSummary:
    if not norm.size:
        return VectorSummary(0, True, 0.0, 0.0, 0.0)
    return VectorSummary(
        rows=norm.size,
        finite=bool(np.isfinite(norm).all()),
        norm_min=float(norm.min()),
        norm_median=float(np.median(norm)),
        norm_max=float(norm.max()),
    )
