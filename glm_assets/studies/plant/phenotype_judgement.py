"""What the phenotype head is worth: figures by fold and over all folds, beside the commonest class.

No figure is of a sample that the head was fitted to. The intervals are over samples: they do not say how much a head
fitted to other samples would differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from glm_assets.evaluation.classification import balanced_accuracy_of, confusion_matrix
from glm_assets.evaluation.classification_intervals import FIGURES, compare_classifiers
from glm_assets.storage.schemas_plant import PHENOTYPE_HEAD
from glm_assets.studies.plant.cross_validation import CrossValidated

HEAD, MAJORITY = "head", "majority"
ALL_FOLDS: Final = -1

_FIGURES: Final = {"accuracy": FIGURES["accuracy"], "balanced_accuracy": balanced_accuracy_of} | FIGURES


@dataclass(frozen=True)
class Judgement:
    """What is said of a head.

    Attributes:
        compared: A row per figure over all folds, as `compare_classifiers` gives it.
        table: The rows of the table `plant_phenotype_head`.
        facts: The same for people: figures, what the commonest class has, and whether the head has more.
    """

    compared: pl.DataFrame
    table: pl.DataFrame
    facts: dict[str, Any]


def judge(judged: CrossValidated, *, resamples: int, seed: int) -> Judgement:
    """Compare a head with the commonest class on the same held-out samples.

    It is said to beat it where the 95 % interval of the difference of their accuracies lies above 0.

    Args:
        judged: What both say of each sample.
        resamples: Of the samples, class by class, for the intervals.
        seed: Of the resamples.
    """
    source = np.arange(len(judged.fold))
    compared = compare_classifiers(
        judged.head, judged.majority, source, resamples=resamples, seed=seed, figures=_FIGURES
    )
    rows = [*_fold_rows(judged), *_pooled_rows(compared, len(source))]
    figures = {row["figure"]: row for row in compared.iter_rows(named=True)}
    accuracy = figures["accuracy"]
    beats = accuracy["low"] is not None and accuracy["low"] > 0
    facts = {
        "rows": len(rows),
        "samples": len(source),
        "folds": judged.folds,
        "metrics": {name: row["model"] for name, row in figures.items()},
        "baseline": {f"majority_{name}": row["baseline"] for name, row in figures.items()},
        "accuracy_over_majority": accuracy["difference"],
        "accuracy_over_majority_low": accuracy["low"],
        "accuracy_over_majority_high": accuracy["high"],
        "beats_majority": beats,
        "verdict": _verdict(accuracy, beats),
    }
    return Judgement(compared, pl.DataFrame(rows, PHENOTYPE_HEAD.schema, orient="row"), facts)


def _verdict(accuracy: dict[str, Any], beats: bool) -> str:
    shown = (
        "no interval with so few samples"
        if accuracy["low"] is None
        else f"95 % interval {accuracy['low']:+.3f} to {accuracy['high']:+.3f}"
    )
    return (
        f"the head {'beats' if beats else 'does not beat'} the commonest class: accuracy {accuracy['model']:.3f} "
        f"against {accuracy['baseline']:.3f} on held-out samples, {accuracy['difference']:+.3f} ({shown})"
    )


def _fold_rows(judged: CrossValidated) -> Iterator[tuple]:
    for fold in range(judged.folds):
        own = judged.fold == fold
        for predictor, classified in ((HEAD, judged.head), (MAJORITY, judged.majority)):
            confusion = confusion_matrix(classified.rows(own))
            for name, figure in _FIGURES.items():
                yield fold, predictor, name, float(figure(confusion)), None, None, int(own.sum())


def _pooled_rows(compared: pl.DataFrame, samples: int) -> Iterator[tuple]:
    for predictor, part in ((HEAD, "model"), (MAJORITY, "baseline")):
        for row in compared.iter_rows(named=True):
            yield (
                ALL_FOLDS, predictor, row["figure"], row[part], row[f"{part}_low"], row[f"{part}_high"], samples
            )  # fmt: skip
