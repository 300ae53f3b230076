import numpy as np
import polars as pl
import pytest

from glm_assets.errors import MissingUpstreamError
from glm_assets.genome.splits import SplitRule, md5_split, split_by_window
from glm_assets.variants.splitting import is_known, partner_of, read_earlier, split_windows

from .records import write_records


def table(chrom: str, starts: list[int], genes: list[str | None], first_id: int = 0) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "chrom": chrom,
            "pos": [start + 65 for start in starts],
            "ref": "A",
            "alt": "C",
            "variation_id": range(first_id, first_id + len(starts)),
            "genes": pl.Series(genes, dtype=pl.String),
            "window_start": starts,
            "window_end": [start + 128 for start in starts],
            "ref_digest": [f"{chrom}{start}" for start in starts],
        }
    )


STARTS = list(range(1000, 60_000, 500))
WINDOWS = table("3", STARTS, [f"G{index // 4}" for index in range(len(STARTS))])


def test_a_gene_is_hashed_by_its_symbol():
    found = split_windows(WINDOWS, "NC_000003.12", SplitRule("gene"))
    assert found.splits.tolist() == md5_split([f"G{index // 4}" for index in range(len(STARTS))]).tolist()
    assert set(found.splits) == {"train", "val", "test"}


def test_rows_of_several_genes_join_them():
    windows = table("3", [1000, 5000, 9000, 20_000], ["KIT,ZAP", "ZAP,AAK1", "AAK1", None])
    found = split_windows(windows, "NC_000003.12", SplitRule("gene"))
    assert found.groups.tolist() == ["AAK1"] * 3 + ["3:78"]
    assert found.largest_group() == ("AAK1", 0.75)


def test_faithful_hashes_the_window_start():
    found = split_windows(WINDOWS, "NC_000003.12", SplitRule("faithful"))
    assert found.splits.tolist() == split_by_window("NC_000003.12", np.array(STARTS)).tolist()
    assert found.largest_group() == ("", 0.0)


def test_a_chromosome_is_on_one_side():
    rule = SplitRule("chromosome", test_chromosomes=("3",), val_chromosomes=("4",))
    assert set(split_windows(WINDOWS, "NC_000003.12", rule).splits) == {"test"}


@pytest.mark.parametrize("rule", ["gene", "locus"])
def test_x_and_y_agree_on_what_they_share(rule):
    x = table("X", [10_000, 500_000], ["SHOX", "DMD"])
    y = table("Y", [10_100, 700_000, 900_000], ["SHOX", "SRY", None])
    y = y.with_columns(ref_digest=pl.Series(["X10000", "Y2", "Y3"]))  # the pseudoautosomal window
    on_x = split_windows(x, "NC_000023.11", SplitRule(rule), partner=y)
    on_y = split_windows(y, "NC_000024.10", SplitRule(rule), partner=x)
    assert on_x.groups.tolist()[0] == on_y.groups.tolist()[0]
    assert on_x.splits[0] == on_y.splits[0]
    assert (partner_of("X", SplitRule(rule)), partner_of("Y", SplitRule(rule))) == ("Y", "X")
    assert partner_of("3", SplitRule(rule)) is None


def test_what_is_new_tests_and_the_rest_never_does():
    earlier = WINDOWS.filter(pl.col("pos") % 1000 < 500).select("pos", "ref", "alt", "variation_id")
    by_locus = split_windows(WINDOWS, "NC_000003.12", SplitRule("locus")).splits
    found = split_windows(WINDOWS, "NC_000003.12", SplitRule("temporal"), earlier=earlier).splits
    known = (WINDOWS["pos"] % 1000 < 500).to_list()
    expected = [
        "test" if not old else ("train" if split == "test" else split)
        for old, split in zip(known, by_locus.tolist(), strict=True)
    ]
    assert found.tolist() == expected
    assert {"train", "val", "test"} == set(expected)
    assert "test" in {split for split, old in zip(by_locus.tolist(), known, strict=True) if old}


def test_a_variant_is_known_by_its_alleles_or_its_id():
    windows = pl.DataFrame(
        {
            "pos": [10, 10, 10, 20, 30],
            "ref": ["A", "A", "AT", "G", "G"],
            "alt": ["C", "T", "A", "A", "A"],
            "variation_id": [1, 2, 3, 4, None],
        },
        schema_overrides={"pos": pl.Int64, "variation_id": pl.Int64},
    )
    earlier = pl.DataFrame({"pos": [10, 77], "ref": "A", "alt": "C", "variation_id": [900, 4]})
    assert is_known(windows, earlier).to_list() == [True, False, False, True, False]


def test_every_earlier_allele_counts_whatever_its_class(tmp_path):
    rows = [
        {"pos": 5, "ref": "a", "alt": "c,g", "clnsig": "Uncertain_significance"},
        {"pos": 6, "ref": "T", "alt": ".", "clnsig": None},
        {"pos": 5, "ref": "A", "alt": "T", "chrom": "17"},
    ]
    earlier = read_earlier(write_records(tmp_path, rows), "13")
    assert earlier.select("pos", "ref", "alt").rows() == [(5, "A", "C"), (5, "A", "G"), (6, "T", ".")]


def test_an_earlier_release_without_the_chromosome_is_refused(tmp_path):
    records = write_records(tmp_path, [{"pos": 5, "ref": "A", "alt": "C"}])
    with pytest.raises(MissingUpstreamError, match=r"no record on chromosome 17.*GLM_CHROMOSOMES"):
        read_earlier(records, "17")
