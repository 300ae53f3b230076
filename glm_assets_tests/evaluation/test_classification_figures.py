"""The figures of a classifier show its numbers, also with two classes, fifty, and ones without rows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from glm_assets.evaluation.classification import (
    Classified,
    by_read_length,
    confidence_reliability,
    confusion_matrix,
    per_class_table,
)
from glm_assets.evaluation.classification_figures import (
    plot_against_baseline,
    plot_by_read_length,
    plot_confusion,
    plot_per_class,
    plot_reliability,
)
from glm_assets.evaluation.classification_intervals import compare_classifiers
from glm_assets_tests.evaluation.drawn import saved


def drawn(classes: int, rows: int = 400, seed: int = 0) -> Classified:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes - 1, rows)  # the last class has no rows
    scores = generator.random((rows, classes)) + (labels[:, None] == np.arange(classes))
    names = tuple(f"label ${number}$ with a rather long name" for number in range(classes))
    return Classified(scores / scores.sum(axis=1, keepdims=True), labels, names)


@pytest.mark.parametrize("classes", [3, 50])
def test_confusions_of_few_and_of_many_classes(classes, tmp_path):
    rows = drawn(classes)
    figure = plot_confusion(confusion_matrix(rows), rows.names)
    shares = figure.axes[0].images[0].get_array()
    assert shares[: classes - 1].sum(axis=1).tolist() == pytest.approx([1] * (classes - 1))
    assert shares[classes - 1].mask.all()
    written = [text.get_text() for text in figure.axes[0].texts]
    expected = [f"{count:,}" for count in confusion_matrix(rows).ravel() if count]
    assert written == (expected if classes == 3 else [])
    saved(figure, tmp_path)


@pytest.mark.parametrize("classes", [2, 50])
def test_bars_of_each_class_the_largest_on_top(classes, tmp_path):
    rows = drawn(classes) if classes > 2 else Classified(np.eye(2)[[0, 1, 1]], np.array([0, 0, 1]), ("a", "b"))
    table = per_class_table(rows)
    figure = plot_per_class(table)
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == pytest.approx(
        table.sort(["support", "class"], descending=[True, False])["f1"].fill_null(0).to_list()
    )
    saved(figure, tmp_path)


def test_reliability_shows_each_bin_with_its_interval(tmp_path):
    table = confidence_reliability(drawn(4))
    figure = plot_reliability(table, error=0.0421)
    assert figure.axes[0].get_title() == "400 rows, expected calibration error 0.042"
    line = figure.axes[0].lines[1].get_xydata()
    np.testing.assert_allclose(line, table.select("probability", "observed").to_numpy())
    assert saved(figure, tmp_path) == saved(plot_reliability(table, error=0.0421), tmp_path)


def test_read_lengths_with_and_without_a_baseline(tmp_path):
    rows, lengths = drawn(3), np.random.default_rng(1).integers(60, 160, 400)
    table = by_read_length(rows, lengths)
    for baseline, bars in ((None, 5), (table, 10)):
        figure = plot_by_read_length(table, baseline)
        assert len(figure.axes[0].patches) == bars
        assert figure.axes[0].get_xticklabels()[0].get_text() == f"0-74\n({(lengths < 75).sum()})"
    saved(figure, tmp_path)


@pytest.mark.parametrize("genomes", [3, 20])
def test_a_model_beside_its_baseline_also_without_intervals(genomes, tmp_path):
    model, source = drawn(3), np.arange(400) % genomes
    baseline = Classified(np.roll(model.probabilities, 1, axis=1), model.labels, model.names)
    table = compare_classifiers(model, baseline, source, resamples=50)
    assert table["low"].null_count() == (3 if genomes == 3 else 0)
    figure = plot_against_baseline(table)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == pytest.approx([*table["model"], *table["baseline"]])
    assert figure.axes[1].get_xlabel() == "model minus k-mer baseline"
    saved(figure, tmp_path)


def test_undefined_figures_of_a_class_can_be_drawn(tmp_path):
    table = per_class_table(drawn(3)).with_columns(pl.lit(None, pl.Float64).alias("precision"))
    saved(plot_per_class(table), tmp_path)
