"""Figures along a sequence: the heat map's numbers, the marks of the bases, and the running mean."""

from __future__ import annotations

import numpy as np
import pytest

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.token_profile_figures import plot_entropy, plot_logit_map, running_mean


def test_the_heat_map_shows_each_logit_and_marks_the_base_that_stands_there():
    logits = np.random.default_rng(0).normal(size=(130, 4)).astype(np.float16) + 50
    sequence = "acgtN" * 26
    figure = plot_logit_map(logits, sequence, first=7)
    panels = [axes for axes in figure.axes if axes.images]
    assert [axes.images[0].get_array().shape for axes in panels] == [(4, 100), (4, 30)]
    shown = np.concatenate([np.asarray(axes.images[0].get_array()) for axes in panels], axis=1)
    own = logits.astype(np.float64)
    assert shown == pytest.approx((own - own.mean(axis=1, keepdims=True)).T)
    marks = panels[1].lines[0]
    assert marks.get_xdata().tolist() == [107 + place for place in range(30) if sequence[100 + place] != "N"]
    assert marks.get_ydata().tolist() == ["acgt".index(base) for base in sequence[100:] if base != "N"]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == list("ACGT")
    assert "position" in panels[1].get_xlabel()


def test_what_is_not_drawn_is_said():
    figure = plot_logit_map(np.zeros((1_000, 4)), "A" * 1_000, positions=900)
    assert "first 600 of 1,000 positions" in figure.get_suptitle()
    for logits, sequence in ((np.zeros((0, 4)), ""), (np.zeros((3, 4)), "AC")):
        with pytest.raises(EvaluationError):
            plot_logit_map(logits, sequence)


def test_the_running_mean_is_that_of_a_plain_loop():
    values = np.random.default_rng(1).normal(size=23)
    for window in (1, 2, 5, 60):
        before, after = (window - 1) // 2, window // 2
        plain = [values[max(0, place - before) : place + after + 1].mean() for place in range(23)]
        assert running_mean(values, window) == pytest.approx(plain)


def test_entropy_has_a_thin_and_a_thick_line_for_each_model():
    track = {"zero_shot": np.full(300, 2.0), "fine_tuned": np.linspace(0, 2, 300).astype(np.float16)}
    figure = plot_entropy(track, title="u1", first=2)
    axes = figure.axes[0]
    uniform, *lines = axes.lines
    assert uniform.get_ydata()[0] == 2
    assert len(lines) == 4
    assert lines[1].get_linewidth() > lines[0].get_linewidth()
    assert lines[2].get_xdata()[0] == 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "zero-shot (mean 2.000 bits)",
        "fine-tuned (mean 1.000 bits)",
    ]
    assert axes.get_ylabel() == "entropy in bits"
    with pytest.raises(EvaluationError):
        plot_entropy({})
