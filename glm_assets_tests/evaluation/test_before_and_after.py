"""A model before and after training: differences are paired, and there is no interval of too few rows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.before_and_after import compare_correlations, compare_means
from glm_assets.evaluation.figures import BENIGN
from glm_assets.evaluation.model_comparison_figures import plot_model_comparison


def pair(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    before = generator.normal(0, 1, rows)
    return before, before + generator.normal(0.1, 0.05, rows)


def test_the_interval_is_that_of_the_difference_row_by_row():
    before, after = pair(50, 0)
    row = compare_means("m", before, after, resamples=2_000, seed=1).row(0, named=True)
    assert (row["before"], row["after"]) == pytest.approx((before.mean(), after.mean()))
    margin = 1.96 * (after - before).std(ddof=1) / np.sqrt(50)
    assert row["high"] - row["low"] == pytest.approx(2 * margin, rel=0.12)
    assert row["low"] < 0.1 < row["high"]


def test_too_few_rows_have_no_interval_and_none_is_refused():
    row = compare_means("m", *pair(4, 0), resamples=100, seed=1).row(0, named=True)
    assert (row["low"], row["high"], row["rows"]) == (None, None, 4)
    with pytest.raises(EvaluationError):
        compare_means("m", np.zeros(0), np.zeros(0), resamples=10, seed=0)


def test_rows_of_one_source_are_resampled_together():
    measured = np.random.default_rng(2).normal(size=40)
    before, after = measured + pair(40, 3)[0], measured + 0.1 * pair(40, 4)[0]
    many = [np.tile(values, 25) for values in (before, after, measured)]
    alone, _ = compare_correlations(before, after, measured, np.arange(40), resamples=400, seed=0)
    copied, estimates = compare_correlations(*many, np.tile(np.arange(40), 25), resamples=400, seed=0)
    assert copied["before"].to_list() == pytest.approx(alone["before"].to_list())
    assert copied["low"].to_list() == pytest.approx(alone["low"].to_list(), abs=0.02)
    assert copied["rows"].to_list() == [1_000, 1_000]
    assert estimates["spearman"][1].value == pytest.approx(stats.spearmanr(after, measured)[0])
    few, without = compare_correlations(before, after, measured, np.arange(40) % 3, resamples=50, seed=0)
    assert few["low"].null_count() == 2
    assert np.isnan(without["pearson"][0].interval()[0])


def test_the_figure_has_both_models_and_the_interval_of_each_kind():
    rows = [("all", -1.4, -1.3, 0.1, 0.05, 0.15, 20), ("gene_only", -1.4, -1.5, -0.1, None, None, 3)]
    names = ["name", "zero_shot", "fine_tuned", "difference", "low", "high", "rows"]
    figure = plot_model_comparison(pl.DataFrame(rows, names, orient="row"))
    absolute, difference = figure.axes
    zero_shot, fine_tuned, guess = absolute.lines
    assert zero_shot.get_xdata().tolist() == [-1.4, -1.4]
    assert fine_tuned.get_xdata().tolist() == [-1.3, -1.5]
    assert fine_tuned.get_color() == BENIGN
    assert guess.get_xdata()[0] == pytest.approx(-np.log(4))
    assert [label.get_text() for label in absolute.get_yticklabels()] == ["all (20)", "gene_only (3)"]
    segments = difference.containers[0][2][0].get_segments()
    assert segments[0][:, 0] == pytest.approx([0.05, 0.15])
    assert segments[1][:, 0] == pytest.approx([-0.1, -0.1])
