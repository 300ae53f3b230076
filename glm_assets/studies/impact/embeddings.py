"""Bringing the vectors of the examples up to date; equal reads are embedded once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from glm_assets.encoders.embed import EmbedReport, embed_sequences
from glm_assets.encoders.engines.worker_processes import StartWorker
from glm_assets.encoders.summary import summarise_sequences
from glm_assets.lineage.embeddings import embedding_facts, has_vectors
from glm_assets.lineage.engines import OtherEncoder, study_engine
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_impact import READ_EMBEDDINGS
from glm_assets.storage.tables import PART, read_part
from glm_assets.studies.impact.study import ImpactStudy

# A read's activations are a hundred times what a pooled vector is.
_NUMBERS_AT_A_TIME = 1 << 24

Progress = Callable[[str], None]


def make_read_embeddings(
    study: ImpactStudy, chrom: str, progress: Progress, start_worker: StartWorker | None = None
) -> Manifest:
    """Embed the examples of a chromosome that the store lacks, and write their index.

    Raises:
        MissingUpstreamError: The examples are absent or out of date.
        EncoderError: The encoder cannot be loaded, or a read is longer than its context.
    """
    product = study.read_embeddings(chrom)

    def build(work: Path) -> Facts:
        examples = read_part(
            study.read_examples(chrom).files(), ["individual", "chrom", "sequence", "sequence_digest"]
        )
        store = study.store()
        keys, report = embed_reads(study, examples["sequence"], store, progress, start_worker)
        index = examples.select("individual", "chrom", "sequence_digest", keys)
        READ_EMBEDDINGS.write(index, work / PART)
        rows = max(1, _NUMBERS_AT_A_TIME // study.encoder_spec.dimension)
        summary = summarise_sequences(keys.unique(maintain_order=True), store, rows_at_a_time=rows)
        return embedding_facts(study.encoder_spec, report, store) | {
            "distinct_sequences": keys.n_unique(),
            "dimension": study.encoder_spec.dimension,
            "finite": summary.finite,
            "smallest_norm": summary.norm_min,
            "median_norm": summary.norm_median,
            "largest_norm": summary.norm_max,
        }

    return product.make(build, still_whole=lambda: has_vectors(product, study.store()))


def embed_reads(
    study: ImpactStudy,
    sequences: pl.Series,
    store: EmbeddingStore,
    progress: Progress,
    start_worker: StartWorker | None = None,
) -> tuple[pl.Series, EmbedReport]:
    """Bring vectors of reads into the store; returns the key of each, and what it took."""
    encoder, spec = study.values.encoder, study.encoder_spec
    other = OtherEncoder(study.weights.path, encoder.batch_tokens)
    engine = study_engine(study.main, spec, store, start_worker, other)
    return embed_sequences(sequences, spec, engine, store, shard_rows=encoder.shard_rows, progress=progress)
