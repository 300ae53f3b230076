"""Scoring what a user brings: a VCF, or every substitution of a region."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.device import CPU, prepare_device
from glm_assets.encoders.embed import EmbedReport, embed_windows
from glm_assets.encoders.engines.worker_processes import StartWorker
from glm_assets.errors import SettingsError
from glm_assets.evaluation.experiment import SCORES
from glm_assets.genome.fasta import ReferenceGenome
from glm_assets.genome.windows import WindowRecipe
from glm_assets.heads.scorers import Scorer, VectorKind
from glm_assets.lineage.embeddings import with_other_strand
from glm_assets.lineage.engines import study_engine
from glm_assets.lineage.likelihoods import LIKELIHOOD_DTYPE
from glm_assets.lineage.scored_results import write_experiment, write_figures
from glm_assets.lineage.scoring_plan import Choices, ScoringPlan, plan_scoring
from glm_assets.lineage.study import Study
from glm_assets.sources.reference import FASTA
from glm_assets.storage.atomic import file_digest
from glm_assets.storage.products import Facts, Manifest, Product
from glm_assets.storage.schemas import SCORED_VARIANTS
from glm_assets.storage.tables import PART
from glm_assets.tracking import Registry
from glm_assets.variants.annotate import annotate_vcf
from glm_assets.variants.region import Region, parse_region, region_snvs
from glm_assets.variants.user_vcf import read_user_vcf, text_vcf
from glm_assets.variants.user_windows import NOT_FINITE, blocks, scorable_windows, screen, user_alleles

ANNOTATED = "scored.vcf.gz"
_READ_ROWS = 8192


def scored_variants_product(study: Study, plan: ScoringPlan) -> Product:
    """The scores of what the settings name, by those who were chosen.

    Raises:
        SettingsError: The settings name no variants, or a VCF and a region; or a file that does not exist.
    """
    settings, profile = study.settings, study.profile
    inputs = {
        **_user_inputs(study),
        **plan.inputs,
        "reference_genome": study.reference().data_version,
        "glm_checkpoint": study.checkpoint().data_version,
    }
    recipe: dict[str, Any] = {
        "windows": profile.windows.as_dict(),
        "indel_max": profile.labels.indel_max,
        "store_dtype": profile.encoder.store_dtype,
        "absent": dict(plan.absent),
    }
    if settings.experiment:
        recipe |= {"resamples": profile.comparison.resamples, "seed": profile.seed}
    return study.table("scored_variants", inputs, recipe)


def make_scored_variants(
    study: Study,
    choices: Choices,
    registry: Registry,
    progress: Callable[[str], None],
    start_worker: StartWorker | None = None,
) -> Manifest:
    """Score the user's variants: the table, figures and, of a VCF, the VCF again with the scores in it.

    Args:
        study: The main study; its settings name the VCF or the region, and an experiment.
        choices: Head, probe and likelihoods.
        registry: Asked only where the head is named by alias or version.
        progress: Called with a line now and then.
        start_worker: How to start a worker, where the settings do not say it.

    Raises:
        SettingsError: As of `scored_variants_product`.
        MissingUpstreamError: The head, the reference or the encoder's weights are absent or out of date.
        EncoderError: The head was trained on vectors of another encoder.
        FormatError: The VCF is none, or damaged.
    """
    _user_inputs(study)  # what the user forgot is told before what the data root lacks
    plan = plan_scoring(study, choices, registry)
    product = scored_variants_product(study, plan)
    genome = ReferenceGenome(study.files(study.reference_folder) / FASTA)
    scoring = _Scoring(study, plan, genome, progress, start_worker)
    return product.make(scoring.build)


def _user_inputs(study: Study) -> dict[str, str]:
    vcf, region, experiment = study.settings.user_vcf, study.settings.region, study.settings.experiment
    if vcf and region:
        raise SettingsError(
            f"GLM_USER_VCF ({vcf}) and GLM_REGION ({region}) are both set",
            expected="one of them",
            fix="unset the one that is not to be scored",
        )
    if not vcf and not region:
        raise SettingsError(
            "there is nothing to score",
            expected="GLM_USER_VCF or GLM_REGION",
            fix="set GLM_USER_VCF=/path/to/my.vcf.gz, or GLM_REGION=13:32315000-32316000 for every SNV of a region",
        )
    for name, path in (("GLM_USER_VCF", vcf), ("GLM_EXPERIMENT", experiment)):
        if path and not path.is_file():
            raise SettingsError(f"{name} names {path}, which does not exist", expected="a file")
    inputs = {"user_vcf": file_digest(vcf)} if vcf else {"region": str(parse_region(str(region)))}
    return inputs | ({"experiment": file_digest(experiment)} if experiment else {})


@dataclass(frozen=True)
class _Asked:
    """What the user asks about: `rows` as of `user_alleles`; the VCF as text, or the region."""

    rows: pl.DataFrame
    region: Region | None = None
    vcf: Path | None = None
    sorted: bool = True
    unknown_bases: int = 0


@dataclass(frozen=True)
class _Scoring:
    """One run of the product's build."""

    study: Study
    plan: ScoringPlan
    genome: ReferenceGenome
    progress: Callable[[str], None]
    start_worker: StartWorker | None

    def build(self, work: Path) -> Facts:
        """Fill the product's folder."""
        with TemporaryDirectory(prefix=".text-", dir=work) as scratch:
            asked = self._ask(Path(scratch))
            rows, compared, mismatches = self._screen(asked.rows)
            self.progress(f"{rows['reason'].null_count():,} of {rows.height:,} alleles can be scored")
            table, took = self._score(rows)
            SCORED_VARIANTS.write(table, work / PART)
            facts = self._facts(asked, table) | took
            facts |= {"reference_compared": compared, "reference_mismatches": mismatches}
            facts["reference_mismatch_share"] = mismatches / compared if compared else 0.0
            if asked.vcf:
                facts |= self._annotate(asked, table, work / ANNOTATED)
        write_figures(table, asked.region, facts["unscored"], work)
        if experiment := self.study.settings.experiment:
            profile = self.study.profile
            facts |= write_experiment(table, experiment, work, profile.comparison.resamples, profile.seed)
        return facts

    @property
    def _recipe(self) -> WindowRecipe:
        return self.study.profile.windows.recipe()

    def _ask(self, scratch: Path) -> _Asked:
        settings = self.study.settings
        if settings.user_vcf:
            vcf = text_vcf(settings.user_vcf, scratch)
            found = read_user_vcf(vcf)
            rows = user_alleles(found.records, self.genome, self.study.profile.labels.indel_max)
            return _Asked(rows.with_row_index("row"), vcf=vcf, sorted=found.sorted)
        region = parse_region(str(settings.region))
        rows, unknown = region_snvs(region, self.genome.sequence(region.chrom))
        rows = rows.with_columns(pl.lit(None, pl.String).alias("reason"))
        return _Asked(rows.with_row_index("row"), region=region, unknown_bases=unknown)

    def _screen(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, int, int]:
        """The rows with every reason; how many could be compared with the reference, and how many disagree."""
        compared = mismatches = 0
        both_strands = any(spec.reverse_complement for spec in self.plan.specs.values())
        reasons = rows["reason"]
        for block, contig in self._blocks(rows):
            found, comparable = screen(block, contig, self._recipe, both_strands=both_strands)
            reasons = reasons.scatter(block["row"], found)
            compared += int(comparable.sum())
            mismatches += int(((found == "ref_mismatch").fill_null(value=False).to_numpy() & comparable).sum())
        return rows.with_columns(reasons.alias("reason")), compared, mismatches

    def _blocks(self, rows: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, NDArray[np.uint8]]]:
        for block in blocks(rows, self._recipe):
            yield block, self.genome.sequence(block["chrom"][0])

    def _score(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, Facts]:
        """The table, and what its vectors took."""
        prepare_device(CPU, self.study.settings.cpu_threads)
        scores = {name: np.full(rows.height, np.nan) for name in SCORES}
        took: dict[str, dict[str, float]] = {"cache_hits": {}, "windows_computed": {}, "embedding_seconds": {}}
        for kind, spec in self.plan.specs.items():
            reports = self._score_kind(rows, kind, spec, scores)
            took["cache_hits"][kind] = sum(report.cache_hits for report in reports)
            took["windows_computed"][kind] = sum(report.windows_computed for report in reports)
            took["embedding_seconds"][kind] = round(sum(report.seconds for report in reports), 2)
        table = rows.with_columns(pl.Series(name, values).fill_nan(None) for name, values in scores.items())
        lost = pl.col("reason").is_null() & pl.col("raw_distance").is_null()
        table = table.with_columns(pl.when(lost).then(pl.lit(NOT_FINITE)).otherwise("reason").alias("reason"))
        return table.select(SCORED_VARIANTS.schema.names()), dict(took)

    def _score_kind(
        self, rows: pl.DataFrame, kind: VectorKind, spec: EncoderSpec, scores: dict[str, NDArray[np.float64]]
    ) -> list[EmbedReport]:
        """Fill in the scores that are made of one kind of vectors; one encoder is in memory at a time."""
        study, recipe = self.study, self._recipe
        store = study.store(LIKELIHOOD_DTYPE if kind == "likelihood" else None)
        engine = study_engine(study, spec, store, self.start_worker)
        scorers, reports = self.plan.scorers(kind), []
        for block, contig in self._blocks(rows):
            windows = scorable_windows(block, contig, recipe)
            keys, report = embed_windows(
                with_other_strand(windows, contig, recipe.length) if spec.reverse_complement else windows,
                spec,
                engine,
                store,
                study.profile.windows.as_dict(),
                shard_rows=study.profile.encoder.shard_rows,
                progress=self.progress,
            )
            reports.append(report)
            places = block["row"].to_numpy()
            for start in range(0, len(keys), _READ_ROWS):
                ref, delta = store.read(keys.slice(start, _READ_ROWS))
                for column, scorer in scorers.items():
                    scores[column][places[start : start + _READ_ROWS]] = _column(column, scorer, ref, delta)
        return reports

    def _annotate(self, asked: _Asked, table: pl.DataFrame, dest: Path) -> Facts:
        assert asked.vcf is not None
        plan, reference = self.plan, self.study.reference().facts
        meta = {
            "Head": plan.head.label if plan.head else "none",
            "Probe": plan.probe.name if plan.probe else "none",
            "Encoder": plan.specs["pooled"].name,
            "EncoderFingerprint": plan.specs["pooled"].fingerprint,
            "Reference": f"{reference['url'].rpartition('/')[2]} md5:{reference['md5']}",
        }
        done = annotate_vcf(asked.vcf, dest, table, meta, index=asked.sorted)
        return {
            "records": done.records,
            "index": f"none: {done.unindexed}" if done.unindexed else f"{ANNOTATED}.tbi",
            "replaced_fields": list(done.replaced) or None,
        }

    def _facts(self, asked: _Asked, table: pl.DataFrame) -> Facts:
        reasons = table["reason"].drop_nulls()
        plan = self.plan
        return {
            "asked": str(asked.region or self.study.settings.user_vcf),
            "rows": table.height,
            "scored": table.height - len(reasons),
            "unscored": dict(reasons.value_counts(sort=True).iter_rows()),
            "unknown_bases": asked.unknown_bases if asked.region else None,
            "head": plan.head.label if plan.head else None,
            "head_encoder": plan.head_encoder,
            "probe": plan.probe.name if plan.probe else None,
            "fingerprint": plan.specs["pooled"].fingerprint,
            "absent_scores": [f"{name}: {why}" for name, why in plan.absent.items()] or None,
        }


def _column(
    column: str, scorer: Scorer, ref: NDArray[np.float32], delta: NDArray[np.float32]
) -> NDArray[np.float64]:
    """A scorer's numbers as its column has them: scores are larger for the pathogenic, ratios are smaller."""
    return SCORES[column] * scorer.score(ref, delta)
