"""A classifier's figures equal scikit-learn's on fixed vectors, and small cases worked by hand."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from sklearn import metrics

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.classification import (
    Classified,
    by_read_length,
    classification_figures,
    confidence_reliability,
    confusion_matrix,
    per_class_table,
    top_k_accuracy,
)

NAMES = ("archaea", "bacteria", "plastid", "virus")


def drawn(classes: int, rows: int = 300, seed: int = 0) -> Classified:
    """Probabilities that are right more often than not."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, rows)
    logits = generator.normal(0, 1, (rows, classes)) + 1.2 * (labels[:, None] == np.arange(classes))
    exponentials = np.exp(logits)
    return Classified(exponentials / exponentials.sum(axis=1, keepdims=True), labels, NAMES[:classes])


def of(labels: list[int], predicted: list[int], classes: int = 3) -> Classified:
    """Rows that are certain of a class."""
    return Classified(np.eye(classes)[predicted], np.array(labels), NAMES[:classes])


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_figures_equal_those_of_scikit_learn(classes):
    rows = drawn(classes)
    found = classification_figures(rows)
    true, given = rows.labels, rows.predicted
    assert found.rows == 300
    assert found.accuracy == pytest.approx(metrics.accuracy_score(true, given))
    assert found.macro_f1 == pytest.approx(metrics.f1_score(true, given, average="macro"))
    assert found.micro_f1 == pytest.approx(metrics.f1_score(true, given, average="micro"))
    assert found.mcc == pytest.approx(metrics.matthews_corrcoef(true, given))
    assert found.log_loss == pytest.approx(metrics.log_loss(true, rows.probabilities))
    area = (
        metrics.roc_auc_score(true, rows.probabilities[:, 1])
        if classes == 2
        else metrics.roc_auc_score(true, rows.probabilities, multi_class="ovr", average="macro")
    )
    assert found.auroc == pytest.approx(area)
    assert found.auroc_left_out == ()
    assert confusion_matrix(rows).tolist() == metrics.confusion_matrix(true, given).tolist()


def test_top_k_equals_scikit_learn_and_leaves_out_what_is_always_true():
    rows = drawn(4)
    found = classification_figures(rows, top=(1, 2, 3, 4, 5)).top_k
    assert list(found) == [1, 2, 3]
    for k, share in found.items():
        assert share == pytest.approx(metrics.top_k_accuracy_score(rows.labels, rows.probabilities, k=k))
    assert top_k_accuracy(rows, 4) == 1


def test_the_table_of_classes_equals_scikit_learn():
    rows = drawn(4)
    table = per_class_table(rows)
    expected = metrics.precision_recall_fscore_support(rows.labels, rows.predicted)
    for column, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert table[column].to_list() == pytest.approx(values.tolist())
    assert table["predicted"].to_list() == np.bincount(rows.predicted).tolist()
    assert table["class"].to_list() == list(NAMES)


def test_a_case_worked_by_hand():
    rows = of([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2])
    assert confusion_matrix(rows).tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    found = classification_figures(rows)
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.macro_f1 == pytest.approx((2 * 2 / 5 + 2 * 1 / 4 + 2 * 1 / 3) / 3)
    # rows 6, hits 4, true (3, 2, 1), predicted (2, 2, 2)
    assert found.mcc == pytest.approx((4 * 6 - 12) / np.sqrt((36 - 14) * (36 - 12)))


def test_absent_classes_are_named_and_enter_no_mean():
    rows = of([0, 0, 2, 2], [0, 2, 2, 2], classes=4)
    found = classification_figures(rows)
    assert found.auroc_left_out == ("bacteria", "virus")
    assert found.auroc == pytest.approx((0.75 + 0.75) / 2)
    assert found.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    table = per_class_table(rows).filter(pl.col("class") == "virus")
    assert table.rows() == [("virus", None, None, None, 0, 0)]


def test_a_class_alone_has_no_auroc_and_no_correlation():
    found = classification_figures(of([1, 1], [1, 1], classes=2))
    assert (found.auroc, found.auroc_left_out, found.mcc) == (None, ("archaea", "bacteria"), 0)
    assert json.loads(json.dumps(found.as_dict()))["auroc"] is None


def test_calibration_is_of_the_confidence_in_the_predicted_class():
    confidence = np.array([0.6, 0.6, 0.6, 0.6, 0.6, 0.9, 0.9, 0.9, 0.9, 0.9])
    probabilities = np.stack([confidence, 0.7 * (1 - confidence), 0.3 * (1 - confidence)], axis=1)
    labels = np.array([0, 0, 0, 1, 2, 0, 0, 0, 0, 1])  # 3 of 5 and 4 of 5 are right
    rows = Classified(probabilities, labels, NAMES[:3])
    # Bins of one row: |1 - 0.6| thrice, 0.6 twice, |1 - 0.9| four times, 0.9 once.
    assert classification_figures(rows).calibration_error == pytest.approx(
        (3 * 0.4 + 2 * 0.6 + 4 * 0.1 + 0.9) / 10
    )
    assert confidence_reliability(rows)["probability"].to_list() == pytest.approx(confidence.tolist())
    calibrated = drawn_calibrated(20_000)
    assert classification_figures(calibrated).calibration_error < 0.02
    sure = Classified(np.eye(3)[calibrated.predicted], calibrated.labels, NAMES[:3])
    assert classification_figures(sure).calibration_error == pytest.approx(1 - calibrated.correct.mean(), abs=1e-9)


def drawn_calibrated(rows: int) -> Classified:
    """Labels drawn from the very probabilities."""
    generator = np.random.default_rng(3)
    probabilities = generator.dirichlet([0.5, 0.5, 0.5], rows)
    labels = (generator.random((rows, 1)) > probabilities.cumsum(axis=1)[:, :2]).sum(axis=1)
    return Classified(probabilities, labels, NAMES[:3])


def test_an_impossible_class_that_occurs_has_a_finite_loss():
    assert np.isfinite(classification_figures(of([0, 1], [0, 2])).log_loss)


def test_short_and_long_reads_are_judged_apart():
    rows = of([0, 1, 1, 0, 2], [0, 1, 0, 1, 2])
    table = by_read_length(rows, np.array([60, 74, 75, 99, 900]))
    assert table["bases"].to_list() == ["0-74", "75-99", "500+"]
    assert table["rows"].to_list() == [2, 2, 1]
    assert table["accuracy"].to_list() == [1, 0, 1]
    assert table["macro_f1"].to_list() == [1, 0, 1]
    with pytest.raises(EvaluationError, match="4 read lengths for 5 rows"):
        by_read_length(rows, np.ones(4, int))


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        (np.full((2, 3), 1 / 3), [0, 1], "shape"),
        (np.full((0, 2), 0.5), [], "shape"),
        (np.full((2, 2), 0.5), [0, 2], "not one of the classes"),
        (np.full((2, 2), 0.7), [0, 1], "do not sum to 1"),
        (np.full((2, 2), np.nan), [0, 1], "do not sum to 1"),
        (np.array([[1.5, -0.5]]), [0], "do not sum to 1"),
    ],
)
def test_rows_that_do_not_fit_are_refused(probabilities, labels, message):
    with pytest.raises(EvaluationError, match=message):
        Classified(probabilities, np.array(labels, dtype=int), ("a", "b"))
