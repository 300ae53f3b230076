"""Calibration finds the curve that made the labels; its errors equal those written out."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.calibration import Calibrator, brier_score, expected_calibration_error, reliability


def drawn(rows: int = 40_000, seed: int = 0):
    """Log-distances, and labels whose log-odds are 1.5 times them plus 2."""
    generator = np.random.default_rng(seed)
    logs = generator.normal(-2, 1, rows)
    probability = 1 / (1 + np.exp(-(1.5 * logs + 2)))
    return logs, (generator.random(rows) < probability).astype(np.int8), probability


@pytest.mark.parametrize(
    ("scale", "score_of"),
    [("identity", lambda logs: logs), ("log", np.exp), ("logit", lambda logs: 1 / (1 + np.exp(-logs)))],
)
def test_the_curve_that_made_the_labels_is_found_on_each_scale(scale, score_of):
    logs, label, probability = drawn()
    calibrator = Calibrator.fit(score_of(logs), label, scale=scale)
    assert (calibrator.slope, calibrator.intercept) == pytest.approx((1.5, 2), abs=0.08)
    np.testing.assert_allclose(calibrator.apply(score_of(logs)), probability, atol=0.02)


def test_the_fit_is_plain_logistic_regression_but_for_the_smoothed_targets():
    logs, label, _ = drawn()
    model = LogisticRegression(C=np.inf, tol=1e-8).fit(logs[:, None], label)
    expected = model.predict_proba(logs[:, None])[:, 1]
    np.testing.assert_allclose(Calibrator.fit(logs, label).apply(logs), expected, atol=1e-3)


def test_a_perfect_separation_has_platts_targets_as_probabilities():
    score, label = np.repeat([0.0, 1.0], [8, 3]), np.repeat([0, 1], [8, 3])
    probability = Calibrator.fit(score, label).apply(np.array([0.0, 1.0]))
    np.testing.assert_allclose(probability, [1 / 10, 4 / 5], atol=1e-4)


def test_distances_of_nought_and_probabilities_of_nought_and_one_are_no_trouble():
    score = np.array([0.0, 1e-9, 1e-3, 0.2, 0.4, 1.0])
    label = np.array([0, 0, 1, 0, 1, 1])
    for scale in ("log", "logit"):
        probability = Calibrator.fit(score, label, scale=scale).apply(score)
        assert np.isfinite(probability).all()
        assert (np.diff(probability) >= 0).all()
    assert np.isfinite(Calibrator.fit(np.zeros(6), label, scale="log").apply(score)).all()


def test_missing_scores_stay_missing():
    logs, label, _ = drawn(100)
    assert np.isnan(Calibrator.fit(logs, label).apply(np.array([np.nan, 1.0]))).tolist() == [True, False]


def test_calibration_needs_both_classes_and_numbers():
    with pytest.raises(EvaluationError, match="0 pathogenic and 4 benign"):
        Calibrator.fit(np.arange(4.0), np.zeros(4, int))
    with pytest.raises(EvaluationError, match="not finite"):
        Calibrator.fit(np.array([0.0, np.nan]), np.array([0, 1]))


def test_errors_and_curve_are_those_of_scikit_learn_and_of_the_definition():
    generator = np.random.default_rng(1)
    probability = generator.random(1000) ** 2
    label = (generator.random(1000) < probability**1.5).astype(int)
    assert brier_score(probability, label) == pytest.approx(brier_score_loss(label, probability))
    curve = reliability(probability, label)
    observed, mean = calibration_curve(label, probability, n_bins=10, strategy="quantile")
    np.testing.assert_allclose(curve["observed"], observed)
    np.testing.assert_allclose(curve["probability"], mean)
    assert curve["rows"].to_list() == [100] * 10
    assert expected_calibration_error(probability, label) == pytest.approx(np.abs(observed - mean).mean())


def test_bins_hold_equally_many_rows_and_wilsons_intervals():
    curve = reliability(np.linspace(0, 1, 23), np.repeat([0, 1], [13, 10]), bins=4)
    assert curve["rows"].to_list() == [6, 6, 6, 5]
    assert curve["observed"].to_list() == pytest.approx([0, 0, 5 / 6, 1])
    # Wilson's interval of 5 in 6, from a published calculator.
    assert curve.row(2)[-2:] == pytest.approx((0.4365, 0.9699), abs=1e-4)
    assert curve["low"][0] == pytest.approx(0)
    assert curve["high"][3] == pytest.approx(1)
    assert reliability(np.array([0.2, 0.9]), np.array([0, 1])).height == 2


def test_a_score_that_is_the_wrong_way_round_gets_one_probability_for_all():
    rng = np.random.default_rng(0)
    label = (np.arange(400) % 4 == 0).astype(int)
    fitted = Calibrator.fit(rng.normal(size=400) - 2 * label, label)
    assert fitted.slope == 0
    assert fitted.apply(np.array([-5.0, 0.0, 5.0])) == pytest.approx(0.25, abs=0.01)
