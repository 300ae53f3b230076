"""Stacked bars add up to each sample's reads."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from glm_assets.evaluation.abundance_figures import plot_abundance
from glm_assets_tests.evaluation.drawn import saved


def table(samples: int, labels: int) -> pl.DataFrame:
    rows = [(f"s{s:02d}", f"label ${n}", (s + 1) * (labels - n)) for s in range(samples) for n in range(labels)]
    return pl.DataFrame(rows, ["sample_id", "label", "reads"], orient="row")


def test_shares_of_a_sample_fill_its_bar(tmp_path):
    figure = plot_abundance(table(3, 4))
    widths = np.array([bar.get_width() for bar in figure.axes[0].patches]).reshape(4, 3)
    np.testing.assert_allclose(widths, np.array([[0.4], [0.3], [0.2], [0.1]]) * np.ones(3))
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["s00 (10)", "s01 (20)", "s02 (30)"]
    saved(figure, tmp_path)


def test_rare_labels_become_one_and_many_samples_are_cut_and_counted(tmp_path):
    figure = plot_abundance(table(45, 12))
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[-1] == "3 rarer labels"
    assert len(names) == 10
    ends = [bar.get_x() + bar.get_width() for bar in figure.axes[0].patches[-40:]]
    assert ends == pytest.approx([1] * 40)
    assert figure.get_suptitle() == "abundance by sample (5 samples left out)"
    saved(figure, tmp_path)


def test_a_label_that_a_sample_lacks_and_a_sample_without_reads(tmp_path):
    rows = pl.DataFrame({"sample_id": ["a", "a", "b"], "label": ["x", "y", "x"], "reads": [3, 1, 0]})
    widths = [bar.get_width() for bar in plot_abundance(rows).axes[0].patches]
    assert widths == [0.75, 0, 0.25, 0]
