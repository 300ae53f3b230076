"""Figures of reads by class: what is written in them, and nothing is left out unsaid."""

from __future__ import annotations

import polars as pl

from glm_assets.evaluation.class_count_figures import plot_class_counts, plot_read_lengths


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_bars_say_how_many_genomes_each_split_has():
    table = pl.DataFrame(
        {
            "label": ["a", "a", "b"],
            "split": ["train", "test", "train"],
            "reads": [30, 10, 50],
            "genomes": [3, 1, 7],
        }
    )
    figure = plot_class_counts(table)
    assert sorted(text for text in texts(figure) if text) == ["1", "3", "7"]
    widths = [patch.get_width() for patch in figure.axes[0].patches]
    assert sum(widths) == 90
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["b", "a"]


def test_rare_classes_that_are_left_out_are_counted():
    rows = [{"label": f"class{number:03d}", "split": "train", "reads": 1, "genomes": 1} for number in range(45)]
    assert "5 classes left out" in plot_class_counts(pl.DataFrame(rows))._suptitle.get_text()


def test_the_histogram_holds_every_read():
    figure = plot_read_lengths(pl.Series("label", ["a", "b", "a"]), pl.Series([60, 150, 100]))
    heights = [patch.get_height() for patch in figure.axes[0].patches]
    assert sum(heights) == 3
    assert "3 reads of 60 to 150 bases" in figure._suptitle.get_text()
    same = plot_read_lengths(pl.Series("label", ["a", "a"]), pl.Series([150, 150]))
    assert "2 reads of 150 bases" in same._suptitle.get_text()
