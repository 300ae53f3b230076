"""Bringing vectors up to date, and reading them back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.base import Encoder, EncoderSpec
from glm_assets.encoders.embed import EmbedReport, embed_sequences, embed_variants, read_vectors
from glm_assets.encoders.engines.worker_processes import StartWorker
from glm_assets.encoders.evo2.plan import TWO_FORWARDS
from glm_assets.encoders.shards import REVERSE_WINDOW
from glm_assets.encoders.summary import VectorSummary, summarise_sequences, summarise_vectors
from glm_assets.evaluation.embedding_figures import plot_pair_distances
from glm_assets.evaluation.figures import save_figure
from glm_assets.genome.fasta import ReferenceGenome
from glm_assets.genome.windows import cut_reverse_windows
from glm_assets.heads.distances import pair_distances
from glm_assets.heads.scorers import VectorKind
from glm_assets.lineage.engines import embed_job, study_engine
from glm_assets.lineage.study import Study
from glm_assets.sources.reference import FASTA
from glm_assets.storage.embeddings import EmbeddingStore, Vectors
from glm_assets.storage.products import Facts, Manifest, Product
from glm_assets.storage.schemas import COVARIANCE_EMBEDDINGS, TEST_EMBEDDINGS, VARIANT_EMBEDDINGS
from glm_assets.storage.tables import PART, Table, read_part
from glm_assets.variants.windows import as_strings

Progress = Callable[[str], None]


def load_encoder(study: Study, spec: EncoderSpec) -> Encoder:
    """Load an encoder of the study onto its device."""
    return embed_job(study, spec).load()


def make_variant_embeddings(
    study: Study, chrom: str, progress: Progress, start_worker: StartWorker | None = None
) -> Manifest:
    """Embed the windows of one chromosome that the store lacks, and write its index."""
    product, spec = study.variant_embeddings(chrom), study.encoder_spec
    drawn = (pair_distances, "cosine distance of reference and variant")
    return _make_index(study, product, spec, VARIANT_EMBEDDINGS, drawn, progress, start_worker)


def make_covariance_embeddings(
    study: Study, chrom: str, progress: Progress, start_worker: StartWorker | None = None
) -> Manifest:
    """Embed the windows of one chromosome for the covariance probe, and write their index."""
    product, spec = study.covariance_embeddings(chrom), study.covariance_spec
    drawn = (_relative_lengths, "size of the difference's covariance, relative to the reference's")
    return _make_index(study, product, spec, COVARIANCE_EMBEDDINGS, drawn, progress, start_worker)


def _make_index(
    study: Study,
    product: Product,
    spec: EncoderSpec,
    table: Table,
    drawn: tuple[Callable[[Vectors, Vectors], Vectors], str],
    progress: Progress,
    start_worker: StartWorker | None,
) -> Manifest:
    """Bring a chromosome's vectors up to date; `drawn` is what the figure shows of a pair, and its name."""

    def build(work: Path) -> Facts:
        store = study.store()
        windows, index, report = embed_chromosome(
            study, str(product.partition), spec, store, progress, start_worker
        )
        table.write(index, work / PART)
        size, name = drawn
        figure = plot_pair_distances(_of_pairs(size, index, store), windows["label"].to_numpy(), name)
        save_figure(figure, work / "distances.png")
        found = _summary_facts(summarise_vectors(index, store))
        return embedding_facts(spec, report, store) | other_strand_facts(windows) | found

    return product.make(build, still_whole=lambda: has_vectors(product, study.store()))


def embed_chromosome(
    study: Study,
    chrom: str,
    spec: EncoderSpec,
    store: EmbeddingStore,
    progress: Progress,
    start_worker: StartWorker | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame, EmbedReport]:
    """Bring the vectors of a chromosome's windows into the store, by the engine that the settings name.

    Args:
        study: Whose windows these are.
        chrom: Chromosome.
        spec: What the vectors are.
        store: Receives them.
        progress: Called with a line now and then.
        start_worker: How to start a worker, where the settings do not say it.

    Returns:
        The windows, their index with the columns of the table `variant_embeddings`, and the report.
    """
    windows = embeddable_windows(study, chrom, spec)
    index, report = embed_variants(
        windows,
        spec,
        study_engine(study, spec, store, start_worker),
        store,
        study.profile.windows.as_dict(),
        shard_rows=study.profile.encoder.shard_rows,
        progress=progress,
    )
    return windows, index, report


def make_test_embeddings(study: Study, progress: Progress, start_worker: StartWorker | None = None) -> Manifest:
    """Embed the test sequences that the store lacks, and write their index."""
    product = study.test_embeddings()

    def build(work: Path) -> Facts:
        sequences = read_part(study.test_sequences().files())
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
        return embedding_facts(spec, report, store) | _summary_facts(summarise_sequences(keys, store))

    return product.make(build, still_whole=lambda: has_vectors(product, study.store()))


def embeddable_windows(study: Study, chrom: str, spec: EncoderSpec) -> pl.DataFrame:
    """The windows of one chromosome as `embed_variants` takes them: with the other strand's where both are wanted."""
    windows = read_part(study.variant_windows(chrom).files())
    if not spec.reverse_complement:
        return windows
    contig = ReferenceGenome(study.files(study.reference_folder) / FASTA).sequence(chrom)
    return with_other_strand(windows, contig, study.profile.windows.length)


def with_other_strand(windows: pl.DataFrame, contig: NDArray[np.uint8], length: int) -> pl.DataFrame:
    """Windows with the variants' windows of the other strand.

    Args:
        windows: Rows of one chromosome with `window_start`, `variant_offset`, `ref` and `alt`.
        contig: (length of the contig,) ASCII, upper case.
        length: Bases in a window.
    """
    other = cut_reverse_windows(
        contig,
        windows["window_start"].to_numpy(),
        windows["variant_offset"].to_numpy(),
        windows["ref"],
        windows["alt"],
        length,
    )
    return windows.with_columns(as_strings(other).alias(REVERSE_WINDOW))


def other_strand_facts(windows: pl.DataFrame) -> Facts:
    """How many variants have N in their window of the other strand alone; nothing where there are no such windows.

    A deletion fills it with what lies before the window: an assembly gap, or nothing at the contig's start.
    """
    if REVERSE_WINDOW not in windows.columns:
        return {}
    own, other = (pl.col(name).str.contains("N", literal=True) for name in ("var_seq", REVERSE_WINDOW))
    return {"reverse_windows_with_n": windows.filter(other & ~own).height}


def read_embeddings(
    study: Study, chrom: str, vectors: VectorKind = "pooled"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Reference vectors and differences of a chromosome's windows, each (n, dimension), in the rows' order.

    Args:
        study: Whose they are.
        chrom: Chromosome.
        vectors: Those that heads take, those of the covariance probe, or log-likelihoods.
    """
    return read_vectors(read_part(vector_index(study, vectors)(chrom).files(), ["key"]), study.store())


def vector_index(study: Study, vectors: VectorKind) -> Callable[[str], Product]:
    """The product that indexes vectors of one kind, by chromosome; its rows are those of `variant_windows`."""
    products: dict[VectorKind, Callable[[str], Product]] = {
        "pooled": study.variant_embeddings,
        "covariance": study.covariance_embeddings,
        "likelihood": study.variant_likelihoods,
    }
    return products[vectors]


def has_vectors(product: Product, store: EmbeddingStore) -> bool:
    """Whether the store still holds every vector of a finished index; a damaged shard counts as lost."""
    return not store.missing(read_part(product.files(), ["key"])["key"]).any()


def _of_pairs(
    size: Callable[[Vectors, Vectors], Vectors], index: pl.DataFrame, store: EmbeddingStore
) -> NDArray[np.float32]:
    """A number of each pair (n,), read piece by piece."""
    blocks = [size(*read_vectors(block, store)) for block in index.iter_slices(8192)]
    return np.concatenate(blocks) if blocks else np.empty(0, np.float32)


def _relative_lengths(ref: Vectors, delta: Vectors) -> Vectors:
    return np.linalg.norm(delta, axis=1) / np.linalg.norm(ref, axis=1)


def embedding_facts(spec: EncoderSpec, report: EmbedReport, store: EmbeddingStore) -> Facts:
    """What computing vectors took, and what they are."""
    saved = report.flops.saved_shares() or {}
    return {
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
        "damaged_shards_set_aside": store.damaged,
        "precision": spec.dtype,
        "pairs": str(spec.extras.get("pairs", TWO_FORWARDS)),
        "fingerprint": spec.fingerprint,
    }


def _summary_facts(summary: VectorSummary) -> Facts:
    return {
        "finite": summary.finite,
        "zero_delta_share": summary.zero_delta_share,
        "smallest_norm": summary.norm_min,
        "median_norm": summary.norm_median,
        "largest_norm": summary.norm_max,
        "relative_delta_median": summary.relative_delta_median,
    }
