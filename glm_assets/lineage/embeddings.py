"""Bringing vectors up to date, and reading them back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.base import Encoder, EncoderSpec
from glm_assets.encoders.embed import EmbedReport, embed_sequences, embed_variants, read_vectors
from glm_assets.encoders.engines.worker_processes import StartWorker
from glm_assets.encoders.shards import REVERSE_WINDOW
from glm_assets.encoders.summary import VectorSummary, summarise_sequences, summarise_vectors
from glm_assets.evaluation.embedding_figures import pair_distances, plot_pair_distances
from glm_assets.evaluation.figures import save_figure
from glm_assets.genome.fasta import ReferenceGenome
from glm_assets.genome.windows import cut_reverse_windows
from glm_assets.lineage.engines import embed_job, study_engine
from glm_assets.lineage.study import Study
from glm_assets.sources.reference import FASTA
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets.storage.products import Facts, Manifest, Product
from glm_assets.storage.schemas import TEST_EMBEDDINGS, VARIANT_EMBEDDINGS
from glm_assets.storage.tables import PART, read_part
from glm_assets.variants.windows import as_strings

Progress = Callable[[str], None]


def load_encoder(study: Study, spec: EncoderSpec) -> Encoder:
    """Load an encoder of the study onto its device."""
    return embed_job(study, spec).load()


def make_variant_embeddings(
    study: Study, chrom: str, progress: Progress, start_worker: StartWorker | None = None
) -> Manifest:
    """Embed the windows of one chromosome that the store lacks, and write its index."""
    product = study.variant_embeddings(chrom)

    def build(work: Path) -> Facts:
        windows, spec, store = embeddable_windows(study, chrom), study.encoder_spec, study.store()
        index, report = embed_variants(
            windows,
            spec,
            study_engine(study, spec, store, start_worker),
            store,
            study.profile.windows.as_dict(),
            shard_rows=study.profile.encoder.shard_rows,
            progress=progress,
        )
        VARIANT_EMBEDDINGS.write(index, work / PART)
        summary = summarise_vectors(index, store)
        label = windows["label"].to_numpy()
        save_figure(plot_pair_distances(_distances(index, store), label), work / "distances.png")
        return _facts(spec, report, summary, store)

    return product.make(build, still_whole=lambda: _has_vectors(study, product))


def make_test_embeddings(study: Study, progress: Progress, start_worker: StartWorker | None = None) -> Manifest:
    """Embed the test sequences that the store lacks, and write their index."""
    product = study.test_embeddings()

    def build(work: Path) -> Facts:
        sequences = read_part(study.test_sequences().folder)
        spec, store = study.sequence_spec, study.store()
        keys, report = embed_sequences(
            sequences["seq"],
            spec,
            study_engine(study, spec, store, start_worker),
            store,
            shard_rows=study.profile.encoder.shard_rows,
            progress=progress,
        )
        TEST_EMBEDDINGS.write(sequences.select("ID", keys), work / PART)
        return _facts(spec, report, summarise_sequences(keys, store), store)

    return product.make(build, still_whole=lambda: _has_vectors(study, product))


def embeddable_windows(study: Study, chrom: str) -> pl.DataFrame:
    """The windows of one chromosome as `embed_variants` takes them: with the other strand's where both are wanted."""
    windows = read_part(study.variant_windows(chrom).folder)
    if not study.profile.encoder.reverse_complement:
        return windows
    contig = ReferenceGenome(study.reference_folder / FASTA).sequence(chrom)
    other = cut_reverse_windows(
        contig,
        windows["window_start"].to_numpy(),
        windows["variant_offset"].to_numpy(),
        windows["ref"],
        windows["alt"],
        study.profile.windows.length,
    )
    return windows.with_columns(as_strings(other).alias(REVERSE_WINDOW))


def read_embeddings(study: Study, chrom: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Reference vectors and differences of a chromosome's windows, each (n, dimension), in the rows' order."""
    return read_vectors(read_part(study.variant_embeddings(chrom).folder, ["key"]), study.store())


def _has_vectors(study: Study, product: Product) -> bool:
    """Whether the store still holds every vector of a finished index; a damaged shard counts as lost."""
    return not study.store().missing(read_part(product.folder, ["key"])["key"]).any()


def _distances(index: pl.DataFrame, store: EmbeddingStore) -> NDArray[np.float32]:
    blocks = [pair_distances(*read_vectors(block, store)) for block in index.iter_slices(8192)]
    return np.concatenate(blocks) if blocks else np.empty(0, np.float32)


def _facts(spec: EncoderSpec, report: EmbedReport, summary: VectorSummary, store: EmbeddingStore) -> Facts:
    saved = report.flops.saved_shares() or {}
    figures: Mapping[str, Any] = {
        "rows": report.rows,
        "cache_hits": report.cache_hits,
        "distinct_references": report.distinct_references,
        "windows_computed": report.windows_computed,
        "tokens_computed": report.tokens_computed,
        "seconds": round(report.seconds, 2),
        "windows_per_second": round(report.windows_per_second, 2),
        "tokens_per_second": round(report.tokens_per_second),
        "tflop": round(report.flops.computed / 1e12, 3) if saved else None,
        "flops_saved": {name: round(share, 4) for name, share in saved.items()} or None,
        "device": ", ".join(sorted(report.devices)) or "none needed",
        "gpu_memory_gb": round(report.peak_memory / 1e9, 2) if report.peak_memory else None,
        "probe_drift": report.probe_drift,
        "finite": summary.finite,
        "zero_delta_share": summary.zero_delta_share,
        "smallest_norm": summary.norm_min,
        "median_norm": summary.norm_median,
        "largest_norm": summary.norm_max,
        "relative_delta_median": summary.relative_delta_median,
        "damaged_shards_set_aside": store.damaged,
        "precision": spec.dtype,
        "pairs": str(spec.extras["pairs"]),
        "fingerprint": spec.fingerprint,
    }
    return dict(figures)
