"""Figures of a comparison: they show the tables' numbers, fit Dagster's metadata and survive what is missing."""

from __future__ import annotations

import io

import numpy as np
import polars as pl
import pytest

from glm_assets.evaluation import comparison_figures as figures
from glm_assets.evaluation.comparison import compare
from glm_assets.evaluation.figures import save_figure
from glm_assets_tests.evaluation import comparisons

LARGEST = 150_000


@pytest.fixture(scope="module")
def test():
    return comparisons.sealed_test(1500)


@pytest.fixture(scope="module")
def comparison(test):
    return compare(test, resamples=50, seed=1, small_class=20)


def all_figures(comparison, test):
    return {
        "auroc_forest": figures.plot_auroc_forest(comparison, test),
        "slices_by_consequence": figures.plot_consequence_slices(comparison, test),
        "calibration": figures.plot_calibration(comparison, test),
        "roc_pr": figures.plot_roc_and_precision(test),
        "ladder_response": figures.plot_ladders(test),
    }


def test_forest_has_every_auroc_with_its_interval(comparison, test):
    axes = figures.plot_auroc_forest(comparison, test).axes[0]
    lines = [line.get_xdata() for line in axes.lines]
    for place, row in enumerate(comparison.scorers.iter_rows(named=True)):
        np.testing.assert_allclose(lines[2 * place], [row["auroc_low"], row["auroc_high"]])
        np.testing.assert_allclose(lines[2 * place + 1], [row["auroc"]])
        assert axes.get_yticklabels()[place].get_text().startswith(row["name"])


def test_small_classes_are_hollow(comparison, test):
    axes = figures.plot_consequence_slices(comparison, test).axes[0]
    part = comparison.slices.filter((pl.col("by") == "consequence") & pl.col("auroc").is_not_null())
    drawn = {"full": 0, "none": 0}
    for line in axes.lines:
        if line.get_marker() == "o":
            drawn[line.get_fillstyle()] += len(line.get_xdata())
    assert drawn == {"full": part.filter(~pl.col("small")).height, "none": part.filter("small").height}
    assert drawn["none"] > 0


def test_ladders_show_the_median_distance(test):
    axes = figures.plot_ladders(test).axes[0]
    head = test.scored[0]
    steps = test.ladders.with_columns(distance=head.ladder_distance)
    medians = steps.group_by("substitutions").agg(pl.col("distance").median()).sort("substitutions")
    np.testing.assert_allclose(axes.lines[0].get_ydata(), medians["distance"])
    assert axes.lines[0].get_label() == head.name


def test_every_figure_is_small_enough_for_the_metadata(comparison, test, tmp_path):
    for name, figure in all_figures(comparison, test).items():
        save_figure(figure, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size < LARGEST, name


@pytest.mark.parametrize(
    "more",
    [
        {"scorers": (("head_v0", "head", 2.0),), "with_baselines": False},
        {"scorers": (("llr", "zero_shot", 2.0),), "with_ladders": False, "with_baselines": False},
        {"scorers": (), "with_baselines": False},
        {"rows": 30},
    ],
    ids=["one head", "no probabilities, no ladders", "nothing", "few rows"],
)
def test_every_shape_of_data_can_be_drawn(more):
    test = comparisons.sealed_test(**{"rows": 200} | more)
    comparison = compare(test, resamples=5, seed=1, small_class=20)
    for figure in all_figures(comparison, test).values():
        figure.savefig(io.BytesIO(), format="png")
