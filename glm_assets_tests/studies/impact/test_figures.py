"""What the figures of the study's tables show."""

from __future__ import annotations

import polars as pl
import pytest

from glm_assets.studies.impact.figures import plot_impacts, plot_mapping, plot_targets
from glm_assets_tests.evaluation.drawn import saved


@pytest.fixture
def examples() -> pl.DataFrame:
    """Three reads with a variant of high impact and two with the reference's allele beside it."""
    return pl.DataFrame(
        {
            "impact": ["high"] * 5,
            "target": [1.0, 1.0, 1.0, 0.0, 0.0],
            "split": ["test", "train", "train", "val", "train"],
            "mapping_quality": [60] * 5,
            "variant_offset": [3, 70, 71, 90, -1],
        }
    )


def counted(figure) -> dict[str, dict[str, int]]:
    """Heights of the bars by legend and by the name below them."""
    axes = figure.axes[0]
    names = [label.get_text() for label in axes.get_xticklabels()]
    return {
        bars.get_label(): {
            name: bar.get_height() for name, bar in zip(names, bars, strict=True) if bar.get_height()
        }
        for bars in axes.containers
    }


def test_reads_with_the_references_allele_count_as_without_impact(examples, tmp_path):
    figure = plot_targets(examples, "DEMO1: examples")
    counts = counted(figure)
    assert counts == {
        "split train (3)": {"high (10)": 2, "none (0)": 1},
        "split val (1)": {"none (0)": 1},
        "split test (1)": {"high (10)": 1},
    }
    assert list(counts) == ["split train (3)", "split val (1)", "split test (1)"]
    assert figure.axes[0].get_ylim()[1] > 2  # room above the highest bar
    saved(figure, tmp_path)


def test_variants_without_an_impact_have_a_bar_of_their_own(tmp_path):
    rows = pl.DataFrame({"impact": ["low", None, None], "carried": [True, False, False]})
    figure = plot_impacts(rows, "carried", "DEMO1")
    assert counted(figure) == {"carried false (2)": {"(none)": 2}, "carried true (1)": {"low (2)": 1}}
    saved(figure, tmp_path)


def test_one_mapping_quality_is_one_tick_and_reads_without_a_place_are_left_out(examples, tmp_path):
    figure = plot_mapping(examples, "DEMO1")
    saved(figure, tmp_path)
    quality, offset = figure.axes
    low, high = quality.get_xlim()
    assert [tick for tick in quality.get_xticks() if low <= tick <= high] == [60]
    assert sum(bar.get_height() for bar in offset.patches) == 4
