"""Distributions of scores: numbers as NumPy and SciPy give them, a sorted ranking, and figures that hold all of it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.score_distribution import ranking, score_statistics
from glm_assets.evaluation.score_distribution_figures import (
    plot_ranking,
    plot_score_histogram,
    plot_score_violins,
)


def test_statistics_are_those_of_scipy():
    values = np.random.default_rng(0).gamma(2, 1, 500)
    row = score_statistics({"a": values}).row(0, named=True)
    assert (row["n"], row["mean"], row["median"]) == (500, values.mean(), np.median(values))
    assert row["sd"] == pytest.approx(stats.tstd(values))
    assert row["iqr"] == pytest.approx(stats.iqr(values))
    assert (row["skew"], row["kurtosis"]) == (stats.skew(values), stats.kurtosis(values))
    whisker = stats.iqr(values) * 1.5
    assert row["outliers_high"] == np.count_nonzero(values > np.quantile(values, 0.75) + whisker) > 0
    assert row["outliers_low"] == np.count_nonzero(values < np.quantile(values, 0.25) - whisker)
    assert row["above_q3"] == row["below_q1"] == 0.25


def test_what_does_not_exist_is_null():
    rows = score_statistics({"none": np.zeros(0), "one": np.ones(1), "same": np.ones(5)}).to_dicts()
    assert (rows[0]["n"], rows[0]["mean"], rows[0]["outliers_low"]) == (0, None, 0)
    assert (rows[1]["sd"], rows[1]["median"]) == (None, 1)
    assert (rows[2]["sd"], rows[2]["skew"]) == (0, None)


def test_the_ranking_is_sorted_and_equal_scores_share_a_rank():
    table = pl.DataFrame({"unit": ["d", "b", "c", "a", "e", "f"], "score": [1.0, 3, 3, 2, None, float("nan")]})
    ranked = ranking(table, "score", label="unit")
    assert ranked.rows() == [(1, "b", 3.0), (1, "c", 3.0), (3, "a", 2.0), (4, "d", 1.0)]
    assert ranking(table.reverse(), "score", label="unit").equals(ranked)


def test_the_histogram_has_50_bins_and_holds_every_score():
    generator = np.random.default_rng(1)
    scores = {"zero_shot": generator.normal(-1.4, 0.1, 50_000), "fine_tuned": generator.normal(-1.3, 0.1, 7)}
    figure = plot_score_histogram({**scores, "absent": np.zeros(0)}, name="score")
    assert len(figure.axes) == 2
    for axes, values in zip(figure.axes, scores.values(), strict=True):
        assert len(axes.patches) == 50
        assert sum(bar.get_height() for bar in axes.patches) == len(values)
        assert [line.get_xdata()[0] for line in axes.lines] == pytest.approx([values.mean(), np.median(values)])
        box = axes.texts[0].get_text()
        assert f"n {len(values):,}" in box
        assert f"sd {values.std(ddof=1):#.3g}" in box
        assert f"min {values.min():#.4g}" in box
    assert figure.axes[-1].get_xlabel() == "score"
    with pytest.raises(EvaluationError, match="no score"):
        plot_score_histogram({"zero_shot": np.zeros(0)})
    assert len(plot_score_histogram({"one": np.ones(1)}).axes[0].patches) == 50


def test_violins_have_their_quartiles_and_few_scores_are_dots():
    many = np.random.default_rng(2).normal(size=20_000)
    figure = plot_score_violins({"zero_shot": many, "few": np.array([1.0, 2.0]), "same": np.ones(9)}, name="s")
    axes = figure.axes[0]
    lines = [
        segment for each in axes.collections if hasattr(each, "get_segments") for segment in each.get_segments()
    ]
    heights = [segment[0][1] for segment in lines if segment[0][1] == segment[1][1]]
    assert heights[:3] == pytest.approx(np.percentile(many, [25, 50, 75]))
    assert len(heights) == 9
    assert [len(line.get_xdata()) for line in axes.lines] == [2, 9]
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "zero-shot\n(20,000)",
        "few\n(2)",
        "same\n(9)",
    ]
    groups = {f"g{number}": np.ones(3) for number in range(15)}
    assert "3 groups left out" in plot_score_violins(groups).get_suptitle()


@pytest.mark.parametrize("rows", [1, 30, 50_000])
def test_both_ends_of_a_ranking_are_drawn(rows):
    table = pl.DataFrame({"unit": [f"u{number:05d}" for number in range(rows)], "score": np.arange(rows) / 7})
    ranked = ranking(table, "score", label="unit")
    figure = plot_ranking(ranked, score="score", label="unit")
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(labels) == min(rows, 30)
    assert labels[0] == f"1. u{rows - 1:05d}"
    assert labels[-1] == f"{rows:,}. u00000"
    assert len(figure.axes[0].collections[-1].get_offsets()) == min(rows, 30)
    assert ("highest and lowest 15 of 50,000" in figure.get_suptitle()) == (rows > 30)


def test_models_that_are_far_apart_have_scales_of_their_own():
    near = {"zero_shot": np.linspace(-1.5, -1.4, 20), "fine_tuned": np.linspace(-1.35, -1.25, 20)}
    far = near | {"zero_shot": np.linspace(-12.8, -12.7, 20)}
    for scores, apart in ((near, False), (far, True)):
        histogram, violins = plot_score_histogram(scores), plot_score_violins(scores)
        filled = [sum(bar.get_height() > 0 for bar in axes.patches) for axes in histogram.axes]
        assert min(filled) > 5
        assert len(violins.axes) == 1 + apart
        for figure in (histogram, violins):
            assert ("scales differ" in figure.get_suptitle()) == apart
