"""Log-likelihoods of the windows of variants: the table, and what they say of the labels without any training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from glm_assets.encoders.embed import read_vectors
from glm_assets.encoders.engines.worker_processes import StartWorker
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.likelihood_figures import plot_likelihood_ratios
from glm_assets.evaluation.ranking import auroc
from glm_assets.lineage.embeddings import embed_chromosome, embedding_facts, has_vectors, other_strand_facts
from glm_assets.lineage.study import Study
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas import VARIANT_LIKELIHOODS
from glm_assets.storage.tables import PART

# A log-likelihood is a sum of a thousand terms, of which a variant may change one by little: float16 would lose it.
LIKELIHOOD_DTYPE: Final = "float32"


def make_variant_likelihoods(
    study: Study,
    chrom: str,
    progress: Callable[[str], None],
    start_worker: StartWorker | None = None,
) -> Manifest:
    """Compute the log-likelihoods of one chromosome's windows that the store lacks, and write their table.

    Raises:
        EncoderError: The study's encoder gives none.
    """
    product, spec = study.variant_likelihoods(chrom), study.likelihood_spec

    def build(work: Path) -> Facts:
        store = study.store(LIKELIHOOD_DTYPE)
        windows, index, report = embed_chromosome(study, chrom, spec, store, progress, start_worker)
        ref, ratio = (part[:, 0].astype(np.float64) for part in read_vectors(index, store))
        table = index.with_columns(log_likelihood_ref=ref, log_likelihood_ratio=ratio)
        VARIANT_LIKELIHOODS.write(table, work / PART)
        unsealed = table.with_columns(windows["label"]).filter(windows["split"] != "test")
        found = _separation(unsealed)
        label = unsealed["label"].to_numpy()
        ratios = unsealed["log_likelihood_ratio"].to_numpy()
        save_figure(plot_likelihood_ratios(ratios, label, found["auroc"]), work / "ratios.png")
        terms = windows["ref_seq"].str.len_bytes().to_numpy() - 1
        return (
            embedding_facts(spec, report, store)
            | other_strand_facts(windows)
            | {
                "finite": bool(np.isfinite(ref).all() and np.isfinite(ratio).all()),
                "zero_delta_share": float((ratio == 0).mean()) if ratio.size else 0.0,
                "nats_per_base": float(np.median(ref / terms)) if ref.size else None,
                "train_and_val": found,
            }
        )

    return product.make(build, still_whole=lambda: has_vectors(product, study.store(LIKELIHOOD_DTYPE)))


def _separation(rows: pl.DataFrame) -> dict[str, float | int | None]:
    """How well ratios tell labels apart: a variant that the model finds less likely counts as more pathogenic."""
    ratio, label = (rows[name].to_numpy() for name in ("log_likelihood_ratio", "label"))
    medians = {
        f"median_{name}": float(np.median(ratio[label == value])) if (label == value).any() else None
        for value, name in ((0, "benign"), (1, "pathogenic"))
    }
    return {"rows": rows.height, "auroc": auroc(-ratio, label)} | medians
