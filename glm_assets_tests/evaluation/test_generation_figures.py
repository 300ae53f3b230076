"""Figures of drawn sequences: a bar for each, reference lines where they belong, and nothing left out unsaid."""

from __future__ import annotations

import polars as pl
import pytest

from glm_assets.evaluation.figures import BENIGN, NEUTRAL
from glm_assets.evaluation.generation_figures import plot_gc_bars, plot_lengths


def drawn(samples: int) -> pl.DataFrame:
    rows = [
        (model, "u$1", sample, base + sample / 1e5, 100 - (sample == 0) * 60)
        for model, base in (("zero_shot", 0.5), ("fine_tuned", 0.4))
        for sample in range(samples)
    ]
    return pl.DataFrame(rows, ["model", "prompt_name", "sample", "gc", "length"], orient="row")


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_each_sequence_is_a_bar_of_its_model_s_colour():
    table = pl.concat([drawn(3), drawn(1).with_columns(gc=pl.lit(None, pl.Float64))])
    figure = plot_gc_bars(table, references={"genome": 0.44, "prompts": 0.46})
    axes = figure.axes[0]
    assert [bar.get_height() for bar in axes.patches] == pytest.approx(
        [0.5, 0.50001, 0.50002, 0.4, 0.40001, 0.40002]
    )
    colours = [container.patches[0].get_facecolor() for container in axes.containers]
    assert colours[0] != colours[1]
    assert [line.get_ydata()[0] for line in axes.lines] == [0.44, 0.46]
    assert len({str(line.get_linestyle()) for line in axes.lines}) == 2
    assert len(axes.get_xticklabels()) == 6
    assert legend(figure)[0] == "genome (0.440)"
    assert "zero-shot (3, mean 0.500)" in legend(figure)
    assert BENIGN != NEUTRAL
    figure.canvas.draw()


def test_of_many_sequences_some_of_each_model_are_shown_and_this_is_said():
    figure = plot_gc_bars(drawn(500))
    assert [len(container.patches) for container in figure.axes[0].containers] == [32, 32]
    assert "64 of 1,000 sequences shown" in figure.get_suptitle()
    assert "zero-shot (500, mean 0.502)" in legend(figure)
    assert not [label for label in figure.axes[0].get_xticklabels() if label.get_text()]


@pytest.mark.parametrize("samples", [1, 40, 3_000])
def test_the_histogram_holds_every_sequence_of_each_model(samples):
    figure = plot_lengths(drawn(samples), asked=100)
    axes = figure.axes[0]
    assert [sum(bar.get_height() for bar in container.patches) for container in axes.containers] == [samples] * 2
    assert axes.get_yscale() == ("symlog" if samples > 100 else "linear")
    assert axes.lines[0].get_xdata()[0] == 100
    assert axes.get_xlabel() == "length in bases"
    assert "asked for (100)" in legend(figure)


def test_without_a_sequence_there_is_an_empty_figure():
    assert not plot_gc_bars(drawn(0), references={"genome": 0.4}).axes[0].patches
    assert not plot_lengths(drawn(0)).axes[0].patches
