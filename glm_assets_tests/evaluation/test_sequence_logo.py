"""Logos: heights are those of the published formula, and every position that is drawn is there."""

from __future__ import annotations

import math

import numpy as np
import pytest

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.sequence_logo import (
    base_counts,
    base_probabilities,
    information,
    plot_information,
    plot_sequence_logo,
    probability_information,
)


def test_letters_are_counted_by_position_and_others_are_not():
    counts = base_counts(["ACGT", "acg", "ANN", ""])
    assert counts.tolist() == [[3, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]


def test_heights_are_those_of_schneider_and_stephens():
    sequences = ["A"] * 12 + ["C"] * 4
    n, entropy = 16, -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    whole = 2 - (entropy + 3 / (2 * math.log(2) * n))
    assert information(base_counts(sequences))[0] == pytest.approx([0.75 * whole, 0.25 * whole, 0, 0])
    assert information(base_counts(sequences), correct=False).sum() == pytest.approx(2 - entropy)
    # One sequence seems to say 2 bits at each position; corrected it says nothing.
    assert information(base_counts(["ACGT"])).sum() == 0
    assert information(base_counts(["NN"])).tolist() == [[0, 0, 0, 0]] * 2


def test_logits_become_shares_of_their_information():
    logits = np.array([[7.0, 7, 7, 7], [100, 0, 0, 0], [math.log(3), 0, 0, 0]], dtype=np.float16)
    probabilities = base_probabilities(logits)
    assert probabilities.sum(axis=1) == pytest.approx([1, 1, 1])
    assert probabilities[2] == pytest.approx([0.5, 1 / 6, 1 / 6, 1 / 6], abs=1e-3)
    bits = probability_information(probabilities)
    assert bits[0] == pytest.approx([0, 0, 0, 0])
    assert bits[1] == pytest.approx([2, 0, 0, 0])
    assert bits[2].sum() == pytest.approx(2 - (0.5 + 0.5 * math.log2(6)), abs=2e-3)


def letters(figure) -> list[list[float]]:
    """Heights of the letters of each position of the first line, by their outlines."""
    return [[patch.get_path().get_extents(patch.get_transform()).height] for patch in figure.axes[0].patches]


def test_long_logos_have_lines_and_say_what_is_left_out():
    sequences = ["A" * 230] * 3 + ["A" * 60]
    figure = plot_sequence_logo(sequences, title="prompt", first=11)
    assert len(figure.axes) == 4
    assert figure.axes[1].get_xticks()[0] == 61
    assert figure.axes[-1].get_xlabel() == "position"
    assert {axes.get_ylabel() for axes in figure.axes} == {"bits"}
    title = figure.get_suptitle()
    assert "4 sequences, small-sample correction; first 200 of 230 positions" in title


def test_each_base_with_information_is_a_letter():
    bits = np.array([[1.0, 0.5, 0, 0], [0, 0, 0, 2.0]])
    figure = plot_information(bits, title="a $ign")
    figure.canvas.draw()
    assert len(figure.axes[0].patches) >= 3
    heights = sorted(height for (height,) in letters(figure) if height > 0)
    assert heights[-1] / heights[-2] == pytest.approx(2, rel=0.02)
    with pytest.raises(EvaluationError, match="logo of nothing"):
        plot_sequence_logo([""])
