"""Bringing predictions up to date: the impact of new reads and of new variants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.device import prepare_device, resolve_device
from glm_assets.encoders.engines.worker_processes import StartWorker
from glm_assets.errors import SettingsError
from glm_assets.evaluation.figures import save_figure
from glm_assets.genome.fasta import ReferenceGenome
from glm_assets.genome.windows import WindowRecipe
from glm_assets.lineage.embeddings import embedding_facts
from glm_assets.sources.reference import FASTA
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_impact import PREDICTIONS
from glm_assets.storage.tables import PART
from glm_assets.studies.impact.activations import Activations
from glm_assets.studies.impact.embeddings import embed_reads
from glm_assets.studies.impact.figures import plot_predictions
from glm_assets.studies.impact.new_data import SCHEMA, explain, new_reads, new_variants
from glm_assets.studies.impact.predictors import CONV, LINEAR, Predictors
from glm_assets.studies.impact.study import ImpactStudy
from glm_assets.variants.user_windows import NOT_FINITE
from glm_assets.variants.windows import sequence_digest

CSV: Final = "predictions.csv"

Progress = Callable[[str], None]


def make_predictions(
    study: ImpactStudy,
    progress: Progress,
    start_worker: StartWorker | None = None,
    *,
    reads: str | None = None,
    variants: str | None = None,
) -> Manifest:
    """Predict the impact of what the configuration names, or of other files.

    Args:
        study: Whose heads predict.
        progress: Called with a line now and then.
        start_worker: How to start a worker, where the settings do not say it.
        reads: FASTA, FASTQ, BAM or CRAM instead of the configuration's.
        variants: VCF instead of the configuration's.

    Raises:
        SettingsError: There is nothing to predict, or a file does not exist.
        MissingUpstreamError: The heads or the reference are absent or out of date.
        FormatError: A file is damaged or something else.
    """
    reads_file, vcf = study.files.new_reads(reads), study.files.new_variants(variants)
    if not reads_file and not vcf:
        raise SettingsError(
            "there is nothing to predict",
            expected="new.reads or new.variants in the configuration that GLM_IMPACT names",
            fix="name a file there, or in the run's configuration: ops: impact__predictions: config: reads: my.fastq",
        )
    product = study.predictions(reads_file, vcf)

    def build(work: Path) -> Facts:
        device = resolve_device(study.main.settings.device)
        prepare_device(device, study.main.settings.cpu_threads)
        predictors = Predictors.load(study.head().files(), device)
        rows = _new_rows(study, predictors, reads_file, vcf)
        progress(f"{rows['sequence'].count():,} of {rows.height:,} reads and variants can be judged")
        scores, took = _score(study, predictors, rows, progress, start_worker)
        table = _table(study, rows, scores)
        PREDICTIONS.write(table, work / PART)
        table.write_csv(work / CSV)
        for column in scores:
            save_figure(plot_predictions(table, column), work / f"{column}.png")
        return _facts(table, predictors) | took

    return product.make(build)


def window_recipe(length: int, offset: int | None) -> WindowRecipe:
    """Windows of new variants: the variant lies where it does in most training reads, else in the middle."""
    return WindowRecipe(length=length, anchor=offset if offset is not None and offset < length else None)


def _new_rows(study: ImpactStudy, predictors: Predictors, reads: Path | None, vcf: Path | None) -> pl.DataFrame:
    """What is asked for, as `new_data.SCHEMA` says."""
    length, parts = study.values.reads.length, [pl.DataFrame(schema=SCHEMA)]
    reference = study.main.files(study.main.reference_folder) / FASTA
    if reads:
        parts.append(new_reads(reads, length, reference))
    if vcf:
        recipe = window_recipe(length, predictors.meta["variant_offset"])
        indel_max = study.main.profile.labels.indel_max
        parts.append(new_variants(vcf, ReferenceGenome(reference), recipe, indel_max))
    return pl.concat(parts)


def _score(
    study: ImpactStudy,
    predictors: Predictors,
    rows: pl.DataFrame,
    progress: Progress,
    start_worker: StartWorker | None,
) -> tuple[dict[str, NDArray[np.float64]], Facts]:
    """Scores (n,) of all rows by column, NaN where there is none, and what the vectors took."""
    usable = rows["sequence"].is_not_null()
    at, store, spec = usable.to_numpy().nonzero()[0], study.store(), study.encoder_spec
    scores = {"score_linear": np.full(rows.height, np.nan)}
    if predictors.convolution:
        scores["score_conv"] = np.full(rows.height, np.nan)
    if not at.size:
        return scores, {"cache_hits": 0}
    keys, report = embed_reads(study, rows["sequence"].filter(usable), store, progress, start_worker)
    activations = Activations.open(store, keys, spec.pooling)
    for name, values in predictors.scores(activations, np.arange(len(keys))).items():
        scores[f"score_{name}"][at] = values
    return scores, {name: value for name, value in embedding_facts(spec, report, store).items() if name != "rows"}


def _table(study: ImpactStudy, rows: pl.DataFrame, scores: dict[str, NDArray[np.float64]]) -> pl.DataFrame:
    absent = np.full(rows.height, np.nan)
    digests = [sequence_digest(text) if text else None for text in rows["sequence"]]
    table = rows.with_columns(
        pl.lit(study.individual).alias("individual"),
        pl.Series("sequence_digest", digests, dtype=pl.String),
        *(
            pl.Series(name, np.where(np.isfinite(values), values, np.nan)).fill_nan(None)
            for name, values in ((f"score_{one}", scores.get(f"score_{one}", absent)) for one in (CONV, LINEAR))
        ),
    )
    lost = pl.col("reason").is_null() & pl.col("score_linear").is_null()
    return table.with_columns(pl.when(lost).then(pl.lit(NOT_FINITE)).otherwise("reason").alias("reason")).select(
        PREDICTIONS.schema.names()
    )


def _facts(table: pl.DataFrame, predictors: Predictors) -> Facts:
    reasons = table["reason"].drop_nulls()
    counted = dict(reasons.value_counts(sort=True).iter_rows())
    return {
        "rows": table.height,
        "reads": table.filter(kind="read").height,
        "variants": table.filter(kind="variant").height,
        "predicted": table.height - len(reasons),
        "not_predicted": counted,
        "reasons": [f"{name}: {explain(name)}" for name in counted] or None,
        "by": CONV if predictors.convolution else LINEAR,
        "variant_offset": predictors.meta["variant_offset"],
        "csv": CSV,
    }
