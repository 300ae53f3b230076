"""A regression's figures equal scikit-learn's and SciPy's, and say why one does not exist."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.estimate_table import resample_sources
from glm_assets.evaluation.regression import error_by_group, regression_figures

SCORES = np.array([0.0, 1, 2, 5, 10])


def drawn(variants: int, reads: int, seed: int, noise: float = 2.0):
    """Predictions with an error that the reads of a variant share."""
    generator = np.random.default_rng(seed)
    source = np.repeat(np.arange(variants), reads)
    target = generator.choice(SCORES, variants)[source]
    error = generator.normal(0, noise, variants)[source] + generator.normal(0, 0.5, len(source))
    return target + error, target, source


def test_figures_equal_those_of_scikit_learn_and_scipy():
    predicted, target, source = drawn(30, 4, seed=0)
    found = regression_figures(predicted, target, source, training_mean=3.0, resamples=20).as_dict()
    assert (found["rows"], found["sources"], found["notes"]) == (120, 30, [])
    assert found["mse"] == pytest.approx(metrics.mean_squared_error(target, predicted))
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(target, predicted))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(target, predicted))
    assert found["r2"] == pytest.approx(metrics.r2_score(target, predicted))
    assert found["pearson"] == pytest.approx(stats.pearsonr(target, predicted)[0])
    assert found["spearman"] == pytest.approx(stats.spearmanr(target, predicted)[0])
    constant = np.full(120, 3.0)
    assert found["mean_rmse"] == pytest.approx(metrics.root_mean_squared_error(target, constant))
    assert found["mean_mae"] == pytest.approx(metrics.mean_absolute_error(target, constant))
    assert found["rmse_saved"] == pytest.approx(1 - found["rmse"] / found["mean_rmse"])


def test_each_resample_is_what_scikit_learn_says_of_its_rows():
    predicted, target, source = drawn(12, 3, seed=1)
    estimates = regression_figures(predicted, target, source, training_mean=2.0, resamples=15, seed=7).estimates
    for place, times in enumerate(resample_sources(source, 15, 7).counts):
        rows = np.repeat(np.arange(len(source)), times[source])
        true, given = target[rows], predicted[rows]
        assert estimates["rmse"].draws[place] == pytest.approx(metrics.root_mean_squared_error(true, given))
        assert estimates["r2"].draws[place] == pytest.approx(metrics.r2_score(true, given))
        assert estimates["pearson"].draws[place] == pytest.approx(stats.pearsonr(true, given)[0])


def test_intervals_hold_the_true_error_about_as_often_as_they_say():
    truth = 2.0**2 + 0.5**2
    held = 0
    for seed in range(80):
        predicted, target, source = drawn(50, 3, seed=seed)
        found = regression_figures(predicted, target, source, training_mean=3.6, resamples=100, seed=seed)
        low, high = found.estimates["mse"].interval()
        held += low <= truth <= high
    assert 0.85 <= held / 80 <= 0.99


def test_constant_predictions_have_no_correlation_and_this_is_said():
    _, target, source = drawn(10, 2, seed=2)
    found = regression_figures(np.full(20, 0.3), target, source, training_mean=3.0, resamples=30)
    values = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert values["pearson"] is values["spearman"] is None
    assert values["rmse"] > 0
    assert "all predictions are 0.3" in values["notes"][0]
    table = found.table()
    assert table.filter(figure="pearson").rows() == [("pearson", None, None, None)]
    assert table.filter(figure="rmse")["low"].null_count() == 0


def test_constant_targets_have_no_r2_and_this_is_said():
    generator = np.random.default_rng(3)
    found = regression_figures(
        generator.random(20), np.full(20, 0.1), np.arange(20), training_mean=0.1, resamples=30
    )
    values = found.as_dict()
    assert values["r2"] is values["pearson"] is values["rmse_saved"] is None
    assert "all targets are 0.1" in values["notes"][0]


def test_few_variants_have_figures_but_no_intervals():
    predicted, target, source = drawn(4, 20, seed=4)
    table = regression_figures(predicted, target, source, training_mean=3.0, resamples=30).table()
    assert table["value"].null_count() == 0
    assert table["low"].null_count() == table.height


def test_errors_by_group_are_those_of_its_rows():
    predicted, target = np.array([1.0, 3, 0, 4]), np.array([0.0, 1, 2, 5])
    table = error_by_group(predicted, target, np.array(["intron", "missense", "intron", "intron"]))
    assert table["group"].to_list() == ["intron", "missense"]
    intron = table.row(0, named=True)
    assert intron == pytest.approx(
        {
            "group": "intron",
            "rows": 3,
            "target": 7 / 3,
            "predicted": 5 / 3,
            "bias": -2 / 3,
            "mae": 4 / 3,
            "rmse": np.sqrt(6 / 3),
        }
    )


@pytest.mark.parametrize(
    ("predicted", "source", "message"),
    [
        ([1.0, np.nan], [0, 1], "1 of 2 predictions are not finite"),
        ([1.0], [0, 1], "shape"),
        ([1.0, 2.0], [0], "1 sources for 2 rows"),
    ],
)
def test_rows_that_do_not_fit_are_refused(predicted, source, message):
    with pytest.raises(EvaluationError, match=message):
        regression_figures(np.array(predicted), np.array([1.0, 2.0]), np.array(source), training_mean=1.0)
