"""Intervals of a classifier's figures, and of what it has over another one on the same rows.

Sources (genomes) are resampled with all of their rows: reads of one genome are no independent observations. They are
drawn class by class, since a class of few genomes would be missing from many resamples otherwise, and every macro F1 of
those would be low. Of a class with one source the rows are resampled, which tells less than other genomes would.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.bootstrap import Estimate, Resamples, blockwise, combine
from glm_assets.evaluation.classification import Classified, accuracy_of, confusion_matrix, macro_f1_of, mcc_of
from glm_assets.evaluation.estimate_table import estimate_table, numbered, trusted

FIGURES: Final[dict[str, Callable[[NDArray], NDArray[np.float64]]]] = {
    "accuracy": accuracy_of,
    "macro_f1": macro_f1_of,
    "mcc": mcc_of,
}
"""Figures with intervals, by what they are of a confusion matrix."""


def classification_intervals(
    classified: Classified, source: NDArray, *, resamples: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """Accuracy, macro F1 and MCC with what they become in resamples of the sources.

    Args:
        classified: The rows.
        source: (n,) name or number of each row's source genome.
        resamples: How many.
        seed: Of the draws.

    Returns:
        Name to estimate; without an interval where there are fewer than about five sources.
    """
    drawn = resample_by_class(source, classified.labels, resamples, seed)
    return trusted(_estimates(classified, drawn), numbered(source))


def compare_classifiers(
    model: Classified, baseline: Classified, source: NDArray, *, resamples: int = 1000, seed: int = 0
) -> pl.DataFrame:
    """What a model has over a baseline on the same rows, resample by resample.

    Args:
        model: The rows as the model sees them.
        baseline: The same rows as the baseline sees them.
        source: (n,) name or number of each row's source genome.
        resamples: How many.
        seed: Of the draws.

    Returns:
        A row per figure: `figure`, `model`, `model_low`, `model_high`, `baseline`, `baseline_low`, `baseline_high`,
        `difference` (model minus baseline), `low` and `high` of its 95 % interval; null where one does not exist.

    Raises:
        EvaluationError: The two were not judged on the same rows.
    """
    if model.names != baseline.names or not np.array_equal(model.labels, baseline.labels):
        raise EvaluationError(
            "model and baseline were judged on different rows", expected="equal labels and names"
        )
    drawn = resample_by_class(source, model.labels, resamples, seed)
    ours, theirs = (trusted(_estimates(one, drawn), numbered(source)) for one in (model, baseline))
    difference = {name: combine(lambda a, b: a - b, ours[name], theirs[name]) for name in FIGURES}
    tables = [
        estimate_table(estimates).rename({"value": name, "low": f"{name}_low", "high": f"{name}_high"})
        for name, estimates in (("model", ours), ("baseline", theirs))
    ]
    last = estimate_table(difference).rename({"value": "difference"})
    return (
        tables[0]
        .join(tables[1], on="figure", maintain_order="left")
        .join(last, on="figure", maintain_order="left")
    )


def resample_by_class(source: NDArray, labels: NDArray[np.integer], resamples: int, seed: int) -> Resamples:
    """Resamples of the sources of rows in which each class has as many sources as it has.

    Args:
        source: (n,) name or number of each row's source; one with rows of several classes counts to its commonest.
        labels: (n,) class of each row.
        resamples: How many.
        seed: Of the draws.

    Raises:
        EvaluationError: There are not as many sources as labels, no row, or no resample is asked for.
    """
    if len(source) != len(labels):
        raise EvaluationError(f"{len(source):,} sources for {len(labels):,} rows", expected="one for each row")
    cluster = numbered(source)
    class_of_row = _commonest_class(cluster, labels)[cluster]
    lonely = np.isin(class_of_row, _lonely_classes(cluster, labels))
    cluster = numbered(np.where(lonely, cluster.max() + 1 + np.arange(len(cluster)), cluster))
    class_of_source = _commonest_class(cluster, class_of_row)
    counts = np.empty((resamples, len(class_of_source)), dtype=np.uint16)
    for number in np.unique(class_of_source):
        own = np.flatnonzero(class_of_source == number)
        counts[:, own] = Resamples.draw(np.arange(len(own)), resamples, seed + int(number)).counts
    return Resamples(cluster, counts)


def classes_of_one_source(classified: Classified, source: NDArray) -> tuple[str, ...]:
    """Names of the classes all of whose rows come from one source: their part of an interval is too narrow.

    Args:
        classified: The rows.
        source: (n,) name or number of each row's source genome.
    """
    return tuple(classified.names[number] for number in _lonely_classes(numbered(source), classified.labels))


def _commonest_class(cluster: NDArray[np.int64], labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """(clusters,) the class of most rows of each."""
    classes = int(labels.max()) + 1
    rows = np.bincount(cluster * classes + labels, minlength=(int(cluster.max()) + 1) * classes)
    return rows.reshape(-1, classes).argmax(axis=1)


def _lonely_classes(cluster: NDArray[np.int64], labels: NDArray[np.integer]) -> list[int]:
    sources = np.bincount(_commonest_class(cluster, labels))
    return np.flatnonzero(sources == 1).tolist()


def _estimates(classified: Classified, drawn: Resamples) -> dict[str, Estimate]:
    """Each resample's confusion matrix is the sum of those of its sources."""
    classes = len(classified.names)
    whole = confusion_matrix(classified)
    sources = drawn.counts.shape[1]
    cell = (drawn.cluster * classes + classified.labels) * classes + classified.predicted
    by_source = np.bincount(cell, minlength=sources * classes**2).astype(np.float64).reshape(sources, -1)

    def figures(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        confusion = (counts @ by_source).reshape(-1, classes, classes)
        return np.stack([figure(confusion) for figure in FIGURES.values()], axis=1)

    draws = blockwise(drawn.counts, max(sources, classes**2), figures)
    return {
        name: Estimate(float(figure(whole)), draws[:, place])
        for place, (name, figure) in enumerate(FIGURES.items())
    }
