import polars as pl

from glm_assets.evaluation.unit_figures import plot_regions, plot_unit_lengths

UNITS = pl.DataFrame(
    {
        "unit_type": ["regulatory", "gene_cluster", "gene_only", "gene_cluster", "gene_with_regulatory"],
        "length": [120, 18_000, 31_000, 19_500, 4_000],
        "split": ["train", "train", "test", None, "val"],
    }
)


def test_every_unit_is_drawn_once_in_each_panel():
    figure = plot_unit_lengths(UNITS)
    left, right = figure.axes
    assert sum(bar.get_height() for bar in left.patches if hasattr(bar, "get_height")) == UNITS.height
    assert sum(bar.get_width() for bar in right.patches) == UNITS.height
    assert [label.get_text() for label in right.get_yticklabels()] == [
        "gene with regulatory",
        "gene cluster",
        "gene only",
        "regulatory",
    ]
    assert {label.get_text() for label in right.get_legend().get_texts()} == {
        "train",
        "val",
        "test",
        "across splits",
    }


def test_stretches_lie_where_they_are_and_shares_are_of_all_bases():
    rows = [("a", 0, 40_000, "train"), ("a", 50_000, 80_000, "test"), ("b", 0, 20_000, "val")]
    regions = pl.DataFrame(rows, ["contig", "start", "end", "split"], orient="row")
    figure = plot_regions(regions, {"a": 80_000, "b": 20_000})
    (axes,) = figure.axes
    drawn = {(round(bar.get_x(), 6), round(bar.get_width(), 6)) for bar in axes.patches}
    assert drawn == {(0, 80), (0, 20), (0, 40), (50, 30)}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["train (40% of the bases)", "val (20% of the bases)", "test (30% of the bases)"]


def test_of_very_many_contigs_the_longest_are_drawn():
    lengths = {f"c{number}": 1_000 + number for number in range(60)}
    rows = [(name, 0, length, "train") for name, length in lengths.items()]
    regions = pl.DataFrame(rows, ["contig", "start", "end", "split"], orient="row")
    (axes,) = plot_regions(regions, lengths).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"c{number}" for number in range(20, 60)]
    assert axes.get_title() == "20 shorter contigs left out"
