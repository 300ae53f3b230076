"""What the probabilities of a classifier are worth. Numpy; scikit-learn's definitions, which the tests compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.calibration import expected_calibration_error, reliability
from glm_assets.evaluation.ranking import auroc

READ_LENGTHS: Final = (0, 75, 100, 125, 150, 200, 300, 500)
"""Lower bounds in bases of the bins that figures by read length are given for."""

_TOLERANCE: Final = 1e-3
"""How far the probabilities of a row may sum from 1: half precision rounds them."""


@dataclass(frozen=True)
class Classified:
    """Rows, what a classifier says of each and what is true.

    Attributes:
        probabilities: (n, classes) probability of each class; rows sum to 1.
        labels: (n,) the true class, 0 to classes - 1.
        names: Name of each class.

    Raises:
        EvaluationError: The three do not fit together, there is no row, or a probability is none.
    """

    probabilities: NDArray[np.floating]
    labels: NDArray[np.integer]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        rows, classes = len(self.labels), len(self.names)
        if not rows or classes < 2 or self.probabilities.shape != (rows, classes):
            raise EvaluationError(
                f"probabilities of shape {self.probabilities.shape} for {rows:,} labels of {classes} classes",
                expected=f"({rows}, {classes}), at least one row and two classes",
            )
        if self.labels.min() < 0 or self.labels.max() >= classes:
            raise EvaluationError("a label is not one of the classes", expected=f"0 to {classes - 1}")
        sums = self.probabilities.sum(axis=1, dtype=np.float64)
        if not (np.abs(sums - 1) <= _TOLERANCE).all() or self.probabilities.min() < 0:
            raise EvaluationError("probabilities that do not sum to 1", expected="the softmax of the logits")

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(n,) the most probable class; of equally probable ones the first."""
        return self.probabilities.argmax(axis=1)

    @property
    def confidence(self) -> NDArray[np.float64]:
        """(n,) the probability of the predicted class."""
        return self.probabilities.max(axis=1).astype(np.float64)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(n,) whether the prediction is true."""
        return self.predicted == self.labels

    def rows(self, chosen: NDArray) -> Classified:
        """Some of the rows, by index or mask."""
        return Classified(self.probabilities[chosen], self.labels[chosen], self.names)


@dataclass(frozen=True)
class ClassificationFigures:
    """The figures of a classifier.

    Attributes:
        rows: Rows judged.
        accuracy: Share of rows whose most probable class is true.
        macro_f1: Mean F1 of the classes that some row has or is given; others have none.
        micro_f1: F1 of all decisions together: with one label a row, the accuracy.
        mcc: Matthews' correlation, of several classes by Gorodkin; 0 where all rows are given one class.
        auroc: Of two classes for the second; of more the mean of one class against the others. None where no class
            has one.
        auroc_left_out: Classes without rows, or with all of them: they have no AUROC.
        log_loss: Mean -ln of the true class's probability.
        calibration_error: Mean over bins of equally many rows of |share correct - mean confidence|.
        top_k: k to the share of rows whose true class is among the k most probable.
    """

    rows: int
    accuracy: float
    macro_f1: float
    micro_f1: float
    mcc: float
    auroc: float | None
    auroc_left_out: tuple[str, ...]
    log_loss: float
    calibration_error: float
    top_k: dict[int, float]

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return asdict(self) | {
            "auroc_left_out": list(self.auroc_left_out),
            "top_k": {str(k): share for k, share in self.top_k.items()},
        }


def classification_figures(classified: Classified, *, top: Sequence[int] = (1, 3, 5)) -> ClassificationFigures:
    """Judge a classifier.

    Args:
        classified: Its rows.
        top: The k of `top_k`; those as large as the number of classes are left out.
    """
    confusion = confusion_matrix(classified)
    area, left_out = _auroc(classified)
    return ClassificationFigures(
        rows=len(classified.labels),
        accuracy=float(accuracy_of(confusion)),
        macro_f1=float(macro_f1_of(confusion)),
        micro_f1=float(accuracy_of(confusion)),
        mcc=float(mcc_of(confusion)),
        auroc=area,
        auroc_left_out=left_out,
        log_loss=_log_loss(classified),
        calibration_error=expected_calibration_error(classified.confidence, classified.correct.astype(np.int64)),
        top_k={k: top_k_accuracy(classified, k) for k in top if k < len(classified.names)},
    )


def confusion_matrix(classified: Classified) -> NDArray[np.int64]:
    """(classes, classes) rows by true (first axis) and predicted class."""
    classes = len(classified.names)
    cells = classified.labels.astype(np.int64) * classes + classified.predicted
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def accuracy_of(confusion: NDArray) -> NDArray[np.float64]:
    """Accuracy of confusion matrices (..., classes, classes), of shape (...); NaN of empty ones."""
    return _share(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def balanced_accuracy_of(confusion: NDArray) -> NDArray[np.float64]:
    """Mean over the classes with rows of the share that is right, of confusion matrices (..., classes, classes)."""
    rows = confusion.sum(axis=-1)
    right = np.nan_to_num(_share(np.diagonal(confusion, axis1=-2, axis2=-1), rows))
    return _share(right.sum(axis=-1), (rows > 0).sum(axis=-1))


def macro_f1_of(confusion: NDArray) -> NDArray[np.float64]:
    """Mean F1 over the classes that occur, of confusion matrices (..., classes, classes), of shape (...)."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    occurrences = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    return _share(np.nan_to_num(_share(2 * hits, occurrences)).sum(axis=-1), (occurrences > 0).sum(axis=-1))


def mcc_of(confusion: NDArray) -> NDArray[np.float64]:
    """Matthews' correlation of confusion matrices (..., classes, classes), of shape (...)."""
    confusion = confusion.astype(np.float64)
    true, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    rows, hits = true.sum(axis=-1), np.trace(confusion, axis1=-2, axis2=-1)
    covariance = hits * rows - (true * predicted).sum(axis=-1)
    spread = (rows**2 - (true**2).sum(axis=-1)) * (rows**2 - (predicted**2).sum(axis=-1))
    return np.where(spread > 0, covariance / np.sqrt(np.where(spread > 0, spread, 1.0)), 0.0)


def per_class_table(classified: Classified) -> pl.DataFrame:
    """Figures of each class in the order of the names.

    Returns:
        `class`, `precision` (null for a class that is never predicted), `recall` (null without rows), `f1` (null
        without both), `support` (its rows) and `predicted` (rows given it).
    """
    confusion = confusion_matrix(classified)
    hits, support, predicted = np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    return pl.DataFrame(
        {
            "class": list(classified.names),
            "precision": _share(hits, predicted),
            "recall": _share(hits, support),
            "f1": _share(2 * hits, support + predicted),
            "support": support,
            "predicted": predicted,
        }
    ).with_columns(pl.col(pl.Float64).fill_nan(None))


def top_k_accuracy(classified: Classified, k: int) -> float:
    """Share of rows whose true class is among the k most probable; of equally probable classes the first count."""
    order = np.argsort(-classified.probabilities, axis=1, kind="stable")[:, :k]
    return float((order == classified.labels[:, None]).any(axis=1).mean())


def confidence_reliability(classified: Classified) -> pl.DataFrame:
    """Share of correct rows by confidence, as `calibration.reliability` gives it."""
    return reliability(classified.confidence, classified.correct.astype(np.int64))


def by_read_length(
    classified: Classified, lengths: NDArray[np.integer], bounds: Sequence[int] = READ_LENGTHS
) -> pl.DataFrame:
    """Accuracy and macro F1 of short and long reads.

    Args:
        classified: The reads.
        lengths: (n,) bases of each.
        bounds: Lower bounds of the bins, ascending; the last one has no upper end.

    Returns:
        A row per bin that has reads: `bases` such as `75-99`, `shortest`, `rows`, `accuracy`, `macro_f1`.

    Raises:
        EvaluationError: There are not as many lengths as rows, or one lies below all bins.
    """
    if len(lengths) != len(classified.labels) or lengths.min() < bounds[0]:
        raise EvaluationError(
            f"{len(lengths):,} read lengths for {len(classified.labels):,} rows",
            expected=f"one for each, at least {bounds[0]}",
        )
    place = np.searchsorted(bounds, lengths, side="right") - 1
    rows = []
    for number in np.unique(place):
        own = confusion_matrix(classified.rows(place == number))
        last = number == len(bounds) - 1
        title = f"{bounds[number]}+" if last else f"{bounds[number]}-{bounds[number + 1] - 1}"
        rows.append((title, bounds[number], int(own.sum()), float(accuracy_of(own)), float(macro_f1_of(own))))
    return pl.DataFrame(rows, ["bases", "shortest", "rows", "accuracy", "macro_f1"], orient="row")


def _auroc(classified: Classified) -> tuple[float | None, tuple[str, ...]]:
    """The area, and the names of the classes that have none."""
    classes = [1] if len(classified.names) == 2 else range(len(classified.names))
    one = (classified.labels == number for number in classes)
    areas = [
        auroc(classified.probabilities[:, number], own.astype(int))
        for number, own in zip(classes, one, strict=True)
    ]
    known = [area for area in areas if area is not None]
    present = np.bincount(classified.labels, minlength=len(classified.names))
    left_out = tuple(
        name for name, rows in zip(classified.names, present, strict=True) if rows in (0, len(classified.labels))
    )
    return float(np.mean(known)) if known else None, left_out


def _log_loss(classified: Classified) -> float:
    true = classified.probabilities[np.arange(len(classified.labels)), classified.labels].astype(np.float64)
    # One impossible class that occurs would make every other row's figure meaningless.
    return float(-np.log(np.maximum(true, np.finfo(np.float64).eps)).mean())


def _share(part: NDArray, whole: NDArray) -> NDArray[np.float64]:
    """Quotients, NaN over 0."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)
