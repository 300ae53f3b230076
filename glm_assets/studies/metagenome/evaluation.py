"""Judging the classifier on test reads, beside a linear model on k-mer counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from glm_assets.evaluation.classification import (
    Classified,
    by_read_length,
    classification_figures,
    confidence_reliability,
    confusion_matrix,
    per_class_table,
)
from glm_assets.evaluation.classification_figures import (
    plot_against_baseline,
    plot_by_read_length,
    plot_confusion,
    plot_per_class,
    plot_reliability,
)
from glm_assets.evaluation.classification_intervals import classes_of_one_source, compare_classifiers
from glm_assets.evaluation.figures import save_figure
from glm_assets.heads.kmer_baseline import KmerBaseline, fit_kmer_baseline, save_kmer_baseline, some_of_each_class
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_metagenome import CLASS_FIGURES
from glm_assets.storage.tables import PART
from glm_assets.studies.metagenome.rows import SplitRows, read_split_rows, sequences_of
from glm_assets.studies.metagenome.study import MetagenomeStudy

Progress = Callable[[str], None]

MODEL, BASELINE = "model", "kmer_baseline"
JUDGED = "judged_reads.csv"
_BLOCK = 8_192


def make_evaluation(study: MetagenomeStudy, progress: Progress) -> Manifest:
    """Judge the classifier and the k-mer baseline on the same test reads.

    Raises:
        MissingUpstreamError: The classifier is absent or out of date.
    """

    def build(work: Path) -> Facts:
        reads = study.reads().files()
        rows = read_split_rows(reads, study.splits().files())
        classifier = study.open_classifier()
        model = _judge(lambda of: classifier.classify(of).probabilities, classifier.labels, reads, rows, progress)
        progress(f"fitting the baseline on counts of {study.values.baseline_k}-mers")
        fitted, fitted_on = _fit_baseline(study, reads, rows)
        save_kmer_baseline(fitted, work / f"{BASELINE}.safetensors")
        baseline = _judge(fitted.probabilities, rows.names, reads, rows, progress)
        return _report(study, model, baseline, rows, work) | {"baseline_train_reads": fitted_on}

    return study.evaluation().make(build)


def _judge(
    probabilities: Callable[[Sequence[str]], np.ndarray],
    names: tuple[str, ...],
    reads: Path,
    rows: SplitRows,
    progress: Progress,
) -> Classified:
    """What a classifier says of the reads that judge, some of which are held at a time."""
    test = rows.rows[rows.judged]
    parts = []
    for start in range(0, len(test), _BLOCK):
        parts.append(probabilities(sequences_of(reads, test[start : start + _BLOCK])))
        progress(f"{min(start + _BLOCK, len(test)):,} of {len(test):,} {rows.judged} reads")
    return Classified(np.concatenate(parts), rows.label[test], names)


def _fit_baseline(study: MetagenomeStudy, reads: Path, rows: SplitRows) -> tuple[KmerBaseline, int]:
    """The baseline, and how many training reads it was fitted on."""
    train, val = (of[some_of_each_class(rows.label[of])] for of in (rows.rows["train"], rows.rows["val"]))
    fitted = fit_kmer_baseline(
        sequences_of(reads, train),
        rows.label[train],
        sequences_of(reads, val),
        rows.label[val],
        classes=len(rows.names),
        k=study.values.baseline_k,
    )
    return fitted, len(train)


def _report(study: MetagenomeStudy, model: Classified, baseline: Classified, rows: SplitRows, work: Path) -> Facts:
    test = rows.rows[rows.judged]
    lengths = rows.length[test]
    compared = compare_classifiers(
        model, baseline, rows.genome[test], resamples=study.values.resamples, seed=study.values.seed
    )
    judged = {MODEL: model, BASELINE: baseline}
    table = pl.concat(_tables(judged, compared, lengths))
    CLASS_FIGURES.write(table, work / PART)
    figures = {name: classification_figures(each) for name, each in judged.items()}
    save_figure(plot_confusion(confusion_matrix(model), model.names), work / "confusion.png")
    save_figure(plot_per_class(per_class_table(model)), work / "classes.png")
    error = figures[MODEL].calibration_error
    save_figure(plot_reliability(confidence_reliability(model), error=error), work / "calibration.png")
    by_length = (by_read_length(each, lengths) for each in judged.values())
    save_figure(plot_by_read_length(*by_length), work / "lengths.png")
    save_figure(plot_against_baseline(compared, baseline=f"{study.values.baseline_k}-mers"), work / "baseline.png")
    _write_predictions(model, rows, work / JUDGED)
    difference = compared.filter(pl.col("figure") == "macro_f1").to_dicts()[0]
    return {
        "rows": table.height,
        "test_reads": len(test),
        "judged_split": rows.judged,
        "classes_of_one_genome": classes_of_one_source(model, rows.genome[test]),
        "train_reads": len(rows.rows["train"]),
        "genomes": len(np.unique(rows.genome[test])),
        "metrics": _numbers(figures[MODEL].as_dict()),
        "baseline": {f"baseline_{name}": value for name, value in _numbers(figures[BASELINE].as_dict()).items()},
        "macro_f1_over_baseline": difference["difference"],
        "macro_f1_over_baseline_low": difference["low"],
        "macro_f1_over_baseline_high": difference["high"],
        "without_auroc": list(figures[MODEL].auroc_left_out),
    }


def _numbers(figures: dict[str, Any]) -> dict[str, float]:
    """The figures that are one number."""
    return {name: float(value) for name, value in figures.items() if isinstance(value, float)}


def _tables(judged: dict[str, Classified], compared: pl.DataFrame, lengths: np.ndarray) -> Iterator[pl.DataFrame]:
    """Rows of the table `metagenome_evaluation`."""
    for name, classified in judged.items():
        part = "model" if name == MODEL else "baseline"
        bounds = {
            row["figure"]: (row[f"{part}_low"], row[f"{part}_high"]) for row in compared.iter_rows(named=True)
        }
        figures = classification_figures(classified)
        rows = [
            (name, "all", "all", figure, value, *bounds.get(figure, (None, None)), figures.rows)
            for figure, value in _numbers(figures.as_dict()).items()
        ]
        for row in per_class_table(classified).iter_rows(named=True):
            rows += [
                (name, "class", row["class"], figure, row[figure], None, None, row["support"])
                for figure in ("precision", "recall", "f1")
            ]
        for row in by_read_length(classified, lengths).iter_rows(named=True):
            rows += [
                (name, "length", row["bases"], figure, row[figure], None, None, row["rows"])
                for figure in ("accuracy", "macro_f1")
            ]
        yield pl.DataFrame(rows, CLASS_FIGURES.schema, orient="row")


def _write_predictions(model: Classified, rows: SplitRows, path: Path) -> None:
    """What the model says of each test read, for those who look at single ones."""
    frame = pl.DataFrame(
        {
            "read": rows.rows[rows.judged],
            "label": [model.names[index] for index in model.labels],
            "predicted_class": [model.names[index] for index in model.predicted],
            "confidence": model.confidence,
        }
    )
    frame.write_csv(path)
