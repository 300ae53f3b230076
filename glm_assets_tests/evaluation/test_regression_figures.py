"""The figures of a regression show its numbers and say where a correlation does not exist."""

from __future__ import annotations

import numpy as np
import pytest

from glm_assets.evaluation.regression import regression_figures
from glm_assets.evaluation.regression_figures import (
    plot_distributions,
    plot_error_bars,
    plot_error_by_group,
    plot_scatter,
)
from glm_assets_tests.evaluation.drawn import saved


def drawn(rows: int = 200):
    generator = np.random.default_rng(0)
    target = generator.choice([0.0, 1, 2, 5, 10], rows)
    return np.clip(target + generator.normal(0, 2, rows), 0, 10), target


def judged(predicted: np.ndarray, target: np.ndarray, variants: int = 50):
    source = np.arange(len(target)) % variants
    return regression_figures(predicted, target, source, training_mean=3.0, resamples=40)


def test_scatter_of_few_scores_spreads_the_dots_and_marks_the_means(tmp_path):
    predicted, target = drawn()
    estimates = judged(predicted, target).estimates
    figure = plot_scatter(predicted, target, estimates["pearson"], estimates["spearman"], title="head")
    axes = figure.axes[0]
    dots = axes.lines[0].get_xydata()
    assert sorted(dots[:, 1]) == pytest.approx(sorted(predicted))
    assert len(np.unique(dots[:, 0])) == 200
    assert np.sort(np.round(dots[:, 0])).tolist() == np.sort(target).tolist()  # no dot strays to another score
    means = [segment[0][1] for segment in axes.collections[0].get_segments()]
    assert means == pytest.approx([predicted[target == value].mean() for value in (0, 1, 2, 5, 10)])
    low, high = estimates["pearson"].interval()
    assert f"Pearson's r {estimates['pearson'].value:.3f} ({low:.3f} to {high:.3f})" in axes.get_title()
    again = plot_scatter(predicted, target, estimates["pearson"], estimates["spearman"], title="head")
    assert saved(figure, tmp_path) == saved(again, tmp_path)


def test_scatter_on_a_scale_shows_that_predictions_hardly_differ(tmp_path):
    _, target = drawn()
    predicted = np.full(len(target), 3.6) + 0.001 * target
    estimates = judged(predicted, target).estimates
    figure = plot_scatter(predicted, target, estimates["pearson"], estimates["spearman"], limits=(0, 10))
    low, high = figure.axes[0].get_ylim()
    assert low <= 0
    assert high >= 10
    saved(figure, tmp_path)


def test_scatter_of_measurements_is_not_spread_and_shows_a_part_of_very_many(tmp_path):
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(2, 6000))
    estimates = judged(x, y).estimates
    figure = plot_scatter(x, y, estimates["pearson"], estimates["spearman"], names=("measured", "score"))
    dots = figure.axes[0].lines[0].get_xydata()
    assert len(dots) == 4000
    assert set(map(tuple, dots.tolist())) <= set(zip(y.tolist(), x.tolist(), strict=True))
    assert figure.axes[0].get_title().startswith("6,000 rows")
    saved(figure, tmp_path)


def test_a_correlation_without_interval_or_without_a_value_is_said(tmp_path):
    predicted, target = drawn(12)
    few = judged(predicted, target, variants=3).estimates
    title = plot_scatter(predicted, target, few["pearson"], few["spearman"]).axes[0].get_title()
    assert f"Pearson's r {few['pearson'].value:.3f}\nSpearman" in title
    constant = judged(np.ones(12), target).estimates
    figure = plot_scatter(np.ones(12), target, constant["pearson"], constant["spearman"])
    assert "does not exist (a constant)" in figure.axes[0].get_title()
    saved(figure, tmp_path)


def test_errors_by_group_the_largest_on_top_and_the_small_counted(tmp_path):
    predicted, target = drawn(400)
    group = np.array([f"group_{min(number // 15, 24):02d}" for number in range(400)])
    figure = plot_error_by_group(predicted, target, group)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(labels) == 20
    assert labels[0] == "group_24 (40)"
    assert figure.axes[0].get_title() == "error by consequence (5 small ones left out)"
    saved(figure, tmp_path)


def test_distributions_are_shares_of_twenty_bins(tmp_path):
    predicted, target = drawn()
    figure = plot_distributions(predicted + 3, target, limits=(0, 10))
    true = figure.axes[0].patches[:20]
    assert sum(bar.get_height() for bar in true) == pytest.approx(1)
    assert true[0].get_height() == pytest.approx((target < 0.5).mean())
    outline = figure.axes[0].patches[20].get_xy()
    assert outline[:, 1].max() >= (predicted + 3 >= 9.5).mean() - 1e-9  # what lies outside is in the last bin
    saved(figure, tmp_path)


@pytest.mark.parametrize("variants", [3, 50])
def test_errors_stand_beside_those_of_the_mean(variants, tmp_path):
    predicted, target = drawn()
    found = judged(predicted, target, variants)
    figure = plot_error_bars(found.table())
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == pytest.approx([found.estimates[n].value for n in ("rmse", "mae", "mean_rmse", "mean_mae")])
    saved(figure, tmp_path)
