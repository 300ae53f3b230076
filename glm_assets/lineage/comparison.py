"""Every scorer that is there, judged on the sealed test: tables, figures, the report, and who becomes champion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from glm_assets.encoders.device import CPU, prepare_device
from glm_assets.errors import GlmError, MissingUpstreamError
from glm_assets.evaluation.baselines import rate_baselines
from glm_assets.evaluation.calibration import Calibrator, Scale
from glm_assets.evaluation.comparison import Comparison, compare
from glm_assets.evaluation.comparison_figures import (
    plot_auroc_forest,
    plot_calibration,
    plot_consequence_slices,
    plot_ladders,
    plot_roc_and_precision,
)
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.predictors import Predictor, parse_predictors, read_predictor
from glm_assets.evaluation.recommendation import recommend
from glm_assets.evaluation.report.data import ReportData
from glm_assets.evaluation.report.page import write_report
from glm_assets.evaluation.scores import Scored, SealedTest
from glm_assets.heads.scorers import Scorer, VectorKind
from glm_assets.lineage.champion import Evidence, Promotion, promote
from glm_assets.lineage.comparison_facts import cautions, head_records, lineage_facts
from glm_assets.lineage.contenders import Contenders, find_contenders
from glm_assets.lineage.embeddings import vector_index
from glm_assets.lineage.sealed import (
    TEST,
    VAL,
    Numbers,
    is_sealed,
    labelled_rows,
    score_pairs,
    sealed_ladders,
)
from glm_assets.lineage.study import Study
from glm_assets.storage.atomic import digest_of, file_digest
from glm_assets.storage.products import Facts, Manifest, Product
from glm_assets.storage.schemas import HEAD_COMPARISON, HEAD_DIFFERENCES, HEAD_RELIABILITY, HEAD_SLICES
from glm_assets.tracking import Registry

REPORT_FILE: Final = "report.html"

_SCALES: Final[dict[str, Scale]] = {
    "head": "log",
    "probe": "logit",
    "distance": "log",
    "log_likelihood_ratio": "identity",
}
"""How a kind or scorer's score is transformed before it is calibrated."""

_EVIDENCE: Final = ("against", "estimate", "low", "high")

Progress = Callable[[str], None]


def make_head_comparison(study: Study, registry: Registry, progress: Progress) -> tuple[Manifest, Path]:
    """Judge every scorer that is up to date.

    Args:
        study: The main study.
        registry: Asked for the present champions, which are judged on the same rows.
        progress: Called with a line now and then.

    Returns:
        The manifest, and the product's folder.

    Raises:
        MissingUpstreamError: Nothing is there to compare.
        EvaluationError: The test lacks a class, or a table of `GLM_PREDICTORS` cannot be used.
    """
    prepare_device(CPU, study.settings.cpu_threads)
    contenders = find_contenders(study, registry)
    product = comparison_product(study, contenders)

    def build(work: Path) -> Facts:
        progress(f"comparing {', '.join(scorer.name for scorer in contenders.scorers)}")
        rows = labelled_rows(study, _kinds(contenders))
        predictors = _predictors(study, rows.filter(pl.col("split") == TEST))
        test = _sealed_test(study, contenders, rows, predictors)
        settings = study.profile.comparison
        comparison = compare(
            test, resamples=settings.resamples, seed=study.profile.seed, small_class=settings.small_class
        )
        progress(recommend(comparison).text)
        _write(comparison, test, work)
        write_report(work / REPORT_FILE, _report(study, contenders, rows, test, comparison))
        return _facts(study, contenders, test, comparison, predictors) | {"data_version": _content_digest(work)}

    return product.make(build), product.files()


def comparison_product(study: Study, contenders: Contenders) -> Product:
    """The comparison of these contenders.

    Raises:
        MissingUpstreamError: There is none.
    """
    if not contenders.present:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in contenders.absent.items())
        raise MissingUpstreamError(
            f"nothing is there to compare ({reasons})",
            fix="dagster asset materialize -m glm_assets.definitions --select 'variant_embeddings' for each chromosome",
        )
    inputs = contenders.inputs
    for kind in _kinds(contenders):
        tables = study.every_chromosome(vector_index(study, kind))
        inputs |= {f"{manifest.asset}/{chrom}": manifest.data_version for chrom, manifest in tables.items()}
    # Vectors are kept by content: they stay the same when only labels or splits change.
    windows = study.every_chromosome(study.variant_windows)
    inputs |= {f"variant_windows/{chrom}": manifest.data_version for chrom, manifest in windows.items()}
    for product in (study.mutation_ladders(), study.split_audit()):
        inputs[product.asset] = study.require(product).data_version
    predictors = parse_predictors(study.settings.predictors or "")
    inputs |= {f"predictor/{spec.name}": file_digest(spec.path) for spec in predictors}
    recipe = study.profile.comparison.model_dump() | {
        "predictors": [str(spec) for spec in predictors],
        "absent": dict(contenders.absent),
        "groups": study.profile.groups.model_dump(),
        "split": study.split_values,
        "seed": study.profile.seed,
    }
    return study.table("head_comparison", inputs, recipe)


def move_champions(manifest: Manifest, registry: Registry, progress: Progress) -> dict[str, str]:
    """Make a head's new version champion where the comparison's interval supports it.

    Args:
        manifest: The comparison's.
        registry: Where the aliases are.
        progress: Told what was done and why.

    Returns:
        Head to what was done with it. Nothing changes where the rows that judged had chosen the heads, nor where the
        registry cannot be reached or lacks the version.
    """
    done = {}
    if not manifest.facts["sealed"]:
        progress("champions unchanged: this study has no sealed test")
        return dict.fromkeys(manifest.facts["champions"], "judged on the rows that chose it: no sealed test")
    for name, found in manifest.facts["champions"].items():
        known = Evidence(**{key: found[key] for key in _EVIDENCE}, comparison=manifest.data_version[:12])
        try:
            promotion = promote(registry, name, found["candidate"], known, run_id=found["candidate_run"])
        except GlmError as error:
            promotion = Promotion(moved=False, reason=error.problem)
        done[name] = promotion.reason
        progress(f"{name}: {'now champion' if promotion.moved else 'champion unchanged'}, {promotion.reason}")
    return done


def _kinds(contenders: Contenders) -> list[VectorKind]:
    return list(dict.fromkeys(scorer.vectors for scorer in contenders.scorers))


def _sealed_test(
    study: Study, contenders: Contenders, rows: pl.DataFrame, predictors: Sequence[Predictor]
) -> SealedTest:
    """Score the rows that judge with everything there is; calibrations are fitted on val."""
    kinds, scorers = _kinds(contenders), contenders.scorers
    test, val = (rows.filter(pl.col("split") == name) for name in (TEST, VAL))
    ladders = sealed_ladders(study)
    judged = score_pairs(study, {kind: test[f"key_{kind}"] for kind in kinds}, scorers)
    chosen = score_pairs(study, {kind: val[f"key_{kind}"] for kind in kinds}, scorers)
    rungs = score_pairs(study, {"pooled": ladders["key"]}, scorers)
    own = tuple(
        Scored(
            name=scorer.name,
            kind=scorer.kind,
            score=judged[scorer.name].score,
            distance=judged[scorer.name].distance,
            probability=_probability(scorer, chosen[scorer.name], val["label"], judged[scorer.name]),
            recipe=_recipe(contenders, scorer.name),
            ladder_distance=rungs[scorer.name].distance if scorer.name in rungs else None,
        )
        for scorer in scorers
    )
    baselines = rate_baselines(rows) + rate_baselines(rows, known="train_only")
    others = tuple(predictor.scored() for predictor in predictors)
    return SealedTest(test, ladders.drop("key"), own + baselines + others)


def _probability(scorer: Scorer, val: Numbers, label: pl.Series, test: Numbers) -> Any:
    """Calibrated probabilities; None where val has not both classes, as when val judges."""
    if label.n_unique() < 2:
        return None
    scale = _SCALES.get(scorer.name) or _SCALES[scorer.kind]
    return Calibrator.fit(val.score, label.to_numpy(), scale=scale).apply(test.score)


def _recipe(contenders: Contenders, name: str) -> str | None:
    return contenders.present[name].recipe if name in contenders.present else None


def _predictors(study: Study, test: pl.DataFrame) -> list[Predictor]:
    return [read_predictor(spec, test) for spec in parse_predictors(study.settings.predictors or "")]


def _write(comparison: Comparison, test: SealedTest, work: Path) -> None:
    for table, frame in (
        (HEAD_COMPARISON, comparison.scorers),
        (HEAD_SLICES, comparison.slices),
        (HEAD_DIFFERENCES, comparison.differences),
        (HEAD_RELIABILITY, comparison.reliability),
    ):
        table.write(frame, work / table.file_name)
    save_figure(plot_auroc_forest(comparison, test), work / "auroc.png")
    save_figure(plot_roc_and_precision(test), work / "curves.png")
    save_figure(plot_consequence_slices(comparison, test), work / "consequences.png")
    save_figure(plot_calibration(comparison, test), work / "calibration.png")
    save_figure(plot_ladders(test), work / "ladders.png")


def _content_digest(work: Path) -> str:
    """Digest of tables and figures; the page also tells when the scorers were made, and by which tracked runs."""
    files = [path for path in work.glob("[!.]*") if path.name != REPORT_FILE]
    return digest_of({path.name: file_digest(path) for path in files})


def _report(
    study: Study, contenders: Contenders, rows: pl.DataFrame, test: SealedTest, comparison: Comparison
) -> ReportData:
    trained = {name: one.manifest for name, one in contenders.present.items() if one.manifest}
    heads = {name: one for name, one in contenders.present.items() if one.recipe}
    folders = {name: study.head_folder(name.split()[0], one.recipe) for name, one in heads.items()}
    records = {name: head_records(study.files(folder)) for name, folder in folders.items()}
    return ReportData(
        comparison=comparison,
        test=test,
        facts=lineage_facts(study, rows, trained),
        histories={name: history for name, (history, _) in records.items()},
        soups={name: soup for name, (_, soup) in records.items()},
        absent=contenders.absent,
        cautions=cautions(study),
        sealed=is_sealed(study),
        title=f"Comparison of variant-effect scores, ClinVar {study.release().inputs['date']}",
    )


def _facts(
    study: Study,
    contenders: Contenders,
    test: SealedTest,
    comparison: Comparison,
    predictors: Sequence[Predictor],
) -> Facts:
    advice = recommend(comparison)
    named = {row["name"]: row for row in comparison.scorers.iter_rows(named=True)}
    return {
        "recommendation": advice.text,
        "best": advice.best,
        "rows": comparison.scorers.height,
        "test_rows": test.variants.height,
        "sealed": is_sealed(study),
        "pathogenic": int((test.label == 1).sum()),
        "benign": int((test.label == 0).sum()),
        "loci": comparison.loci,
        "ladders": test.ladders["ladder"].n_unique(),
        "auroc": {name: row["auroc"] for name, row in named.items()},
        "auprc": {name: row["auprc"] for name, row in named.items()},
        "beats_baseline": advice.scorer is not None,
        "absent": list(contenders.absent),
        "predictors": {predictor.spec.name: predictor.as_dict()["coverage"] for predictor in predictors},
        "champions": {
            name: _evidence(contenders, name, named, comparison.differences) for name in contenders.champions
        },
    }


def _evidence(
    contenders: Contenders, name: str, scorers: Mapping[str, Mapping[str, Any]], differences: pl.DataFrame
) -> dict[str, Any]:
    """What the comparison says of a head's version, as `Evidence` wants it, and which version that is."""
    champion, manifest = contenders.champions[name], contenders.present[name].manifest
    facts = manifest.facts if manifest else {}
    if champion.scorer is None:
        own = scorers[name]
        figures = {"estimate": own["auroc"], "low": own["auroc_low"], "high": own["auroc_high"]}
    else:
        pair = differences.filter(
            pl.col("metric") == "auroc", pl.col("first") == name, pl.col("second") == champion.scorer.name
        ).row(0, named=True)
        figures = {"estimate": pair["difference"], "low": pair["low"], "high": pair["high"]}
    candidate = {"candidate": facts.get("registered_version"), "candidate_run": facts.get("mlflow_run_id")}
    return candidate | {"against": champion.version, **figures}
