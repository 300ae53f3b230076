"""The figure of two releases shows the numbers of the table, whatever genes are called."""

from __future__ import annotations

import polars as pl

from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.release_figures import plot_release_diff
from glm_assets.storage.schemas_release import CLINVAR_RELEASE_DIFF


def diff(*rows: dict) -> pl.DataFrame:
    no = dict.fromkeys(("clnsig_changed", "review_changed", "stars_changed", "label_changed"), False)
    filled = [dict.fromkeys(CLINVAR_RELEASE_DIFF.schema.names()) | no | row for row in rows]
    return pl.DataFrame(filled, schema=CLINVAR_RELEASE_DIFF.schema)


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_bars_are_the_counts(tmp_path):
    rows = [
        *({"change": "added", "gene": "A"} for _ in range(1200)),
        {"change": "removed", "gene": "B"},
        {"change": "changed", "gene": "A", "clnsig_changed": True, "label_changed": True, "old_label": 0},
        {"change": "moved", "gene": None, "label_changed": True, "old_label": 0, "new_label": 1},
    ]
    figure = plot_release_diff(diff(*rows), "2025-11-16", "2026-02-26")
    kinds, labels, genes = figure.axes
    assert texts(kinds) == ["1,200", "1", "1", "1", "1", "0", "0", "2"]
    assert [label.get_text() for label in labels.get_yticklabels()] == [
        "benign\nto no label",
        "benign\nto pathogenic",
    ]
    assert [label.get_text() for label in genes.get_yticklabels()] == ["A", "B", "no gene"]
    assert max(bar.get_x() + bar.get_width() for bar in genes.patches) == 1201
    assert all(axes.get_xlim()[1] > max(bar.get_width() for bar in axes.patches) for axes in figure.axes)
    save_figure(figure, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size < 100_000


def test_odd_names_and_no_rows_can_be_drawn(tmp_path):
    for table in (
        diff(),
        diff({"change": "added", "gene": r"$\frac{1}$<b>" * 9}),
        diff({"change": "added", "gene": "$"}),
    ):
        save_figure(plot_release_diff(table, "2025-11-16", "2026-02-26"), tmp_path / "figure.png")
