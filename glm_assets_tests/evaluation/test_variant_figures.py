import numpy as np
import polars as pl
import pytest

from glm_assets.evaluation.variant_figures import (
    plot_leakage,
    plot_overlap,
    plot_seen_sequences,
    plot_variant_counts,
    plot_window_density,
)

VARIANTS = pl.DataFrame(
    {
        "keep": [True, True, True, False, False],
        "kind": ["snv", "snv", "del", None, "ins"],
        "label": pl.Series([1, 1, 0, None, None], dtype=pl.Int8),
        "drop_reason": [None, None, None, "no_alt", "conflicting"],
    }
)
WINDOWS = pl.DataFrame(
    {"chrom": "13", "pos": [10, 20, 900], "label": pl.Series([1, 0, 0], dtype=pl.Int8), "locus": [0, 0, 500]}
)
OVERLAP = pl.DataFrame({"chrom": "1", "split": ["val", "val", "test"], "overlap": [0.0, 0.25, 1.0]})

LEAKAGE = OVERLAP.with_columns(
    shared_gene=pl.Series([True, True, False]),
    duplicate_ref=pl.Series([True, False, False]),
    duplicate_var=pl.Series([False, False, False]),
    duplicate_pair=pl.Series([False, False, False]),
)


def heights(axes) -> list[list[float]]:
    return [[bar.get_height() for bar in bars] for bars in axes.containers]


def test_kept_bars_are_kinds_by_label_and_dropped_bars_are_reasons():
    kept, dropped = plot_variant_counts(VARIANTS).axes
    assert heights(kept) == [[2, 0, 0], [0, 0, 1]]
    assert [tick.get_text() for tick in kept.get_xticklabels()] == ["snv", "ins", "del"]
    assert sorted(tick.get_text() for tick in dropped.get_yticklabels()) == ["conflicting", "no_alt"]
    assert "3 kept" in kept.get_title()
    assert "2 dropped" in dropped.get_title()


def test_density_shows_every_variant_on_its_labels_side():
    (axes,) = plot_window_density(WINDOWS).axes
    up, down = (patch.get_data().values for patch in axes.patches)
    assert (up.sum(), down.sum()) == (1, -2)
    assert "chromosome 13" in axes.get_xlabel()


def test_overlap_bars_are_per_cent_of_their_split():
    (axes,) = plot_overlap(OVERLAP).axes
    assert heights(axes) == [[50, 50, 0, 0, 0], [0, 0, 0, 0, 100]]
    assert axes.get_title().startswith("66.7%")


def test_leakage_bars_are_per_cent_of_their_split_with_their_number_beside():
    (axes,) = plot_leakage(LEAKAGE).axes
    widths = [[bar.get_width() for bar in bars] for bars in axes.containers]
    assert widths == [[50, 100, 50, 0, 0], [100, 0, 0, 0, 0]]
    assert [text.get_text() for text in axes.texts] == ["1", "2", "1", "0", "0", "1", "0", "0", "0", "0"]
    assert [tick.get_text() for tick in axes.get_yticklabels()][:2] == ["a base", "a gene"]


def test_the_title_counts_the_sequences_that_train_holds():
    (axes,) = plot_seen_sequences(np.array([0.0, 0.5, 1.0, np.nan]), 0.5).axes
    assert axes.get_title() == "2 of 3 test sequences are seen to 50% or more"
    assert axes.patches[0].get_data().values.sum() == 3


@pytest.mark.parametrize(
    ("plot", "frame"),
    [
        (plot_variant_counts, VARIANTS),
        (plot_window_density, WINDOWS),
        (plot_overlap, OVERLAP),
        (plot_leakage, LEAKAGE),
    ],
)
def test_an_empty_table_makes_an_empty_figure(plot, frame, tmp_path):
    plot(frame.clear()).savefig(tmp_path / "empty.png")
