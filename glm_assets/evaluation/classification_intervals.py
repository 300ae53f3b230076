"""Intervals of a classifier's figures, and of what it has over another one on the same rows.

Sources (genomes) are resampled with all of their rows: reads of one genome are no independent observations. They are
drawn class by class, since a class of few genomes would be missing from many resamples otherwise, and every macro F1 of
those would be low. Of a class with one source the rows are resampled, which tells less than other genomes would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.bootstrap import Estimate, block_rows, combine, draw_counts
from glm_assets.evaluation.classification import Classified, accuracy_of, confusion_matrix, macro_f1_of, mcc_of
from glm_assets.evaluation.estimate_table import estimate_table, numbered, trusted

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FigureOf = Callable[[NDArray], NDArray[np.float64]]

FIGURES: Final[dict[str, FigureOf]] = {
    "accuracy": accuracy_of,
    "macro_f1": macro_f1_of,
    "mcc": mcc_of,
}
"""Figures with intervals, by what they are of a confusion matrix."""


def compare_classifiers(
    model: Classified,
    baseline: Classified,
    source: NDArray,
    *,
    resamples: int = 1000,
    seed: int = 0,
    figures: Mapping[str, FigureOf] = FIGURES,
) -> pl.DataFrame:
    """What a model has over a baseline on the same rows, resample by resample.

    Args:
        model: The rows as the model sees them.
        baseline: The same rows as the baseline sees them.
        source: (n,) name or number of each row's source genome.
        resamples: How many.
        seed: Of the draws.
        figures: By name, what each is of a confusion matrix.

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
    ours, theirs = (trusted(each, numbered(source)) for each in _estimates((model, baseline), drawn, figures))
    difference = {name: combine(lambda a, b: a - b, ours[name], theirs[name]) for name in figures}
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


@dataclass(frozen=True)
class ClassResamples:
    """Resamples of sources, class by class. All of them at once would be gigabytes where each read is a source.

    Attributes:
        cluster: (n,) source of each row, 0 to sources - 1.
        class_of_source: (sources,) the class that it is drawn with.
        resamples: How many.
        seed: Of the draws.
    """

    cluster: NDArray[np.int64]
    class_of_source: NDArray[np.int64]
    resamples: int
    seed: int

    def blocks(self, size: int = 0) -> Iterator[NDArray[np.float64]]:
        """The same resamples each time, some at a time.

        Args:
            size: Numbers that are held for each resample, beside its counts.

        Yields:
            (some, sources) how often each source is drawn.
        """
        classes = [
            (np.flatnonzero(self.class_of_source == number), np.random.default_rng(self.seed + int(number)))
            for number in np.unique(self.class_of_source)
        ]
        sources = len(self.class_of_source)
        step = block_rows(max(sources, size))
        for start in range(0, self.resamples, step):
            counts = np.empty((min(step, self.resamples - start), sources))
            for own, generator in classes:
                counts[:, own] = draw_counts(generator, len(own), len(counts))
            yield counts


def resample_by_class(source: NDArray, labels: NDArray[np.integer], resamples: int, seed: int) -> ClassResamples:
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
    if resamples < 1:
        raise EvaluationError(f"{resamples} bootstrap resamples", expected="at least 1")
    cluster = numbered(source)
    class_of_row = _commonest_class(cluster, labels)[cluster]
    lonely = np.isin(class_of_row, _lonely_classes(cluster, labels))
    cluster = numbered(np.where(lonely, cluster.max() + 1 + np.arange(len(cluster)), cluster))
    return ClassResamples(cluster, _commonest_class(cluster, class_of_row), resamples, seed)


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


def _estimates(
    judged: Sequence[Classified], drawn: ClassResamples, figures: Mapping[str, FigureOf]
) -> list[dict[str, Estimate]]:
    """Figures of each classifier on the same draws; a resample's confusion matrix is the sum of its sources'."""
    classes = len(judged[0].names)
    by_cell = [_by_cell(each, drawn) for each in judged]
    draws: list[list[NDArray[np.float64]]] = [[] for _ in judged]
    for counts in drawn.blocks(classes**2):
        for cells, found in zip(by_cell, draws, strict=True):
            confusion = (cells @ counts.T).T.reshape(-1, classes, classes)
            found.append(np.stack([figure(confusion) for figure in figures.values()], axis=1))
    return [_with_draws(each, np.concatenate(found), figures) for each, found in zip(judged, draws, strict=True)]


def _by_cell(classified: Classified, drawn: ClassResamples) -> csr_array:
    """(classes^2, sources) rows of each source in each cell of the confusion matrix.

    A source fills few of its cells, and where each row is a source there are millions of them.
    """
    from scipy.sparse import csr_array

    classes = len(classified.names)
    cell = classified.labels.astype(np.int64) * classes + classified.predicted
    shape = (classes**2, len(drawn.class_of_source))
    return csr_array((np.ones(len(cell)), (cell, drawn.cluster)), shape=shape)


def _with_draws(
    classified: Classified, draws: NDArray[np.float64], figures: Mapping[str, FigureOf]
) -> dict[str, Estimate]:
    whole = confusion_matrix(classified)
    return {
        name: Estimate(float(figure(whole)), draws[:, place])
        for place, (name, figure) in enumerate(figures.items())
    }
