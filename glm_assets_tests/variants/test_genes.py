import polars as pl
import pytest

from glm_assets.variants.genes import gene_lists, gene_symbols


@pytest.mark.parametrize(
    ("geneinfo", "symbols"),
    [
        ("BRCA2:675", "BRCA2"),
        ("BRCA2:675|ZAR1L:646799|LOC106721785:106721785", "BRCA2,ZAR1L,LOC106721785"),
        ("HLA-A:3105|C4B_2:100293534", "HLA-A,C4B_2"),
        ("A:1|B:2|A:1", "A,B"),
        ("BRCA2", "BRCA2"),
        (":675", None),
        (".", None),
        ("", None),
        (None, None),
    ],
)
def test_all_symbols_in_their_order(geneinfo, symbols):
    frame = pl.DataFrame({"geneinfo": [geneinfo]}, schema={"geneinfo": pl.String})
    assert frame.select(genes=gene_symbols(pl.col("geneinfo")))["genes"].to_list() == [symbols]


def test_the_column_gives_its_symbols_back():
    assert gene_lists(pl.Series(["A,B", None, "C"])) == [["A", "B"], [], ["C"]]
