"""Figures of a user's scores: what they show, and that they stay small."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from glm_assets.evaluation.agreement import agreement
from glm_assets.evaluation.experiment_figure import plot_experiment
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.region_figure import RegionGrid, plot_region
from glm_assets.evaluation.scored_figures import plot_scores
from glm_assets_tests.evaluation.test_experiment import scored

MOST_BYTES = 150_000


def grid(bases: int, seed: int = 0) -> RegionGrid:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(4, bases))
    reference = rng.integers(0, 4, bases)
    values[reference, np.arange(bases)] = np.nan
    return RegionGrid("13", 1001, values, reference)


def bars(axes) -> list[Rectangle]:
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def images(figure) -> list[np.ndarray]:
    found = [child for axes in figure.axes for child in axes.get_children() if isinstance(child, AxesImage)]
    return [np.ma.filled(np.ma.asarray(image.get_array()), np.nan) for image in found]


def test_a_grid_holds_each_score_at_its_position_and_base():
    made = RegionGrid.of(
        "1", 7, 3, np.array([0, 0, 2]), ["A", "A", "T"], ["C", "T", "G"], np.array([1.0, 2.0, 3.0])
    )
    nan = np.nan
    expected = [[nan, nan, nan], [1, nan, nan], [nan, nan, 3], [2, nan, nan]]
    np.testing.assert_array_equal(made.values, expected)
    assert made.reference.tolist() == [0, -1, 3]


@pytest.mark.parametrize(("bases", "lines"), [(1, 1), (60, 1), (61, 2), (720, 12), (721, 7), (2400, 12)])
def test_the_heat_map_wraps_and_shows_every_value(bases, lines):
    made = grid(bases)
    shown = images(plot_region(made, "x", "ratio"))
    assert len(shown) == lines
    np.testing.assert_array_equal(np.concatenate(shown, axis=1)[:, :bases], made.values)
    assert np.isnan(np.concatenate(shown, axis=1)[:, bases:]).all()


def test_a_long_region_shows_the_most_extreme_of_several_positions():
    made = grid(3000)
    made.values[2, 1001] = 50.0
    made.values[1, 7] = -60.0
    most, least = (np.concatenate(images(plot_region(made, "x", kind)), axis=1) for kind in ("distance", "ratio"))
    assert most[2, 500] == 50.0
    assert least[1, 3] == -60.0
    assert np.nanmin(most) > -60.0


@pytest.mark.parametrize("bases", [401, 2400, 100_000])
@pytest.mark.parametrize("colours", ["distance", "ratio"])
def test_heat_maps_stay_small(tmp_path, bases, colours):
    save_figure(plot_region(grid(bases), "Log-likelihood ratio", colours), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size < MOST_BYTES


def test_histograms_show_the_scores_that_there_are_and_every_reason(tmp_path):
    table = scored(500).with_columns(probe_probability=pl.lit(None, pl.Float64))
    table = table.with_columns(pl.col("head_distance").abs(), pl.col("raw_distance").abs())
    figure = plot_scores(table, {"ref_mismatch": 3, "no_alt": 2})
    labels = [axes.get_xlabel() for axes in figure.axes if axes.get_visible()]
    assert [label.split(" (")[0] for label in labels] == [
        "distance after the head",
        "distance of raw vectors",
        "log-likelihood ratio",
        "alleles without scores",
    ]
    heights = [sum(bar.get_height() for bar in bars(axes)) for axes in figure.axes[:3]]
    assert heights == [500, 500, 500]
    assert [bar.get_width() for bar in bars(figure.axes[3])] == [2, 3]
    assert "495" in figure.get_suptitle()
    save_figure(figure, tmp_path / "a.png")
    save_figure(plot_scores(scored(0), {}), tmp_path / "b.png")
    assert (tmp_path / "a.png").stat().st_size < MOST_BYTES


def test_the_scatter_has_a_panel_a_score_with_its_figures(tmp_path):
    joined = scored(800).with_columns(pl.col("head_distance").alias("score"), label=pl.lit(None, pl.Int8))
    joined = joined.with_columns(pl.when(pl.col("record") < 400).then(1).otherwise(0).cast(pl.Int8).alias("label"))
    names = ["head_distance", "raw_distance", "probe_probability", "log_likelihood_ratio"]
    found = [one for name in names if (one := agreement(joined, name, resamples=50, seed=1))]
    figure = plot_experiment(joined, found, "mine.tsv")
    assert len(figure.axes) == 4
    assert "Pearson 1.00 [1.00, 1.00]" in figure.axes[0].get_title(loc="left")
    assert "(400 + 400)" in figure.axes[0].get_title(loc="left")
    assert sum(len(points.get_offsets()) for points in figure.axes[0].collections) == 800  # pyright: ignore
    save_figure(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size < MOST_BYTES
