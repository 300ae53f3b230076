from itertools import pairwise

import polars as pl
import pytest

from glm_assets.errors import SettingsError
from glm_assets.studies.sugarcane.configuration import SplitSettings
from glm_assets.studies.sugarcane.splitting import homology_groups, split_faults, split_regions

# Ten chromosomes of seven copies and two scaffolds, of about the sizes of a sugarcane, in kb.
LENGTHS = {
    f"Chr{number:02d}{copy}": 80_000 + 3_000 * number + 100 * place
    for number in range(1, 11)
    for place, copy in enumerate("ABCDEFG")
} | {"scaffold_12": 500, "utg7": 200}


def settings(**changes):
    return SplitSettings(**({"by": "homology_group", "val": 10, "test": 10, "max_leak": 0.5} | changes))


def shares(regions):
    bases = regions.group_by("split").agg((pl.col("end") - pl.col("start")).sum())
    total = sum(LENGTHS.values())
    return {split: held / total for split, held in bases.iter_rows()}


@pytest.mark.parametrize("seed", range(8))
def test_no_group_is_on_two_sides_and_shares_are_met(seed):
    regions = split_regions(LENGTHS, settings(), seed)
    assert regions["contig"].to_list() == list(LENGTHS)
    assert regions["start"].to_list() == [0] * len(LENGTHS)
    assert regions["end"].to_list() == list(LENGTHS.values())
    for number in range(1, 11):
        copies = regions.filter(pl.col("contig").str.starts_with(f"Chr{number:02d}"))
        assert copies.height == 7
        assert copies["split"].n_unique() == 1
        assert copies["group"].unique().to_list() == [str(number)]
    found = shares(regions)
    assert found["test"] == pytest.approx(0.1, abs=0.03)
    assert found["val"] == pytest.approx(0.1, abs=0.03)


def test_the_seed_decides_and_the_order_of_contigs_does_not():
    first = split_regions(LENGTHS, settings(), 1)
    turned = split_regions(dict(reversed(LENGTHS.items())), settings(), 1)
    assert dict(first.select("contig", "split").iter_rows()) == dict(turned.select("contig", "split").iter_rows())
    tested = {
        tuple(split_regions(LENGTHS, settings(), seed).filter(split="test")["group"].unique().sort())
        for seed in range(10)
    }
    assert len(tested) > 3


@pytest.mark.parametrize("seed", range(8))
def test_groups_are_dealt_by_their_bases(seed):
    lengths = {"Chr1A": 8, "Chr1B": 7, "Chr2A": 10, "Chr3A": 10, "Chr4A": 65}
    found = split_regions(lengths, settings(), seed)
    assert sorted(found.filter(pl.col("split") != "train")["group"]) == ["2", "3"]


@pytest.mark.parametrize(("val", "test"), [(1, 1), (49, 50), (98, 1), (1, 98), (25, 25)])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (1000, 1, 1), (5, 900, 5, 5, 5), (7, 7, 8, 9)])
def test_every_split_has_a_group(val, test, sizes):
    lengths = {f"Chr{number}A": size for number, size in enumerate(sizes, start=1)}
    found = split_regions(lengths, settings(val=val, test=test), 3)
    assert set(found["split"]) == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("name", "group"),
    [("Chr10G", "10"), ("chr01A", "1"), ("So07B", "7"), ("chromosome_3", "3"), ("7", "7"), ("ptg12", "ptg12")],
)
def test_the_group_is_the_number_of_the_chromosome(name, group):
    assert homology_groups({name: 1}, settings()) == {name: group}


def test_named_groups_go_before_the_pattern_and_must_exist():
    groups = homology_groups(LENGTHS, settings(groups={"scaffold_12": "3"}))
    assert (groups["scaffold_12"], groups["utg7"], groups["Chr03C"]) == ("3", "utg7", "3")
    assert homology_groups({"a_x": 1, "b_x": 1}, settings(group="_(.+)$")) == {"a_x": "x", "b_x": "x"}
    with pytest.raises(SettingsError, match=r"split\.groups .*'Chr99A', which the genome lacks.*Chr01A"):
        homology_groups(LENGTHS, settings(groups={"Chr99A": "9"}))


@pytest.mark.parametrize("lengths", [{"NC_003070.9": 2_000_000}, {"Chr1A": 9, "Chr1B": 9, "Chr2A": 9}])
def test_too_few_groups_are_refused_with_the_way_out(lengths):
    with pytest.raises(SettingsError, match=r"too few for train, val, test.*split\.by: block"):
        split_regions(lengths, settings(), 0)


@pytest.mark.parametrize("gap", [0, 4_000])
def test_blocks_have_gaps_where_the_split_changes_and_are_joined_where_not(gap):
    lengths = {"chrB": 1_000_000, "chrA": 300_000}
    by_block = settings(by="block", block_bases=50_000, gap_bases=gap)
    found = split_regions(lengths, by_block, 5)
    assert found.columns == ["contig", "start", "end", "group", "split"]
    assert found["contig"].unique(maintain_order=True).to_list() == list(lengths)
    for name, length in lengths.items():
        rows = found.filter(contig=name).select("start", "end", "split").rows()
        assert rows[0][0] == 0
        assert rows[-1][1] == length
        for (_, end, split), (start, _, following) in pairwise(rows):
            assert split != following
            assert start - end == gap
    assert set(found["split"]) == {"train", "val", "test"}


def test_a_division_by_groups_that_parts_copies_is_a_fault():
    groups = settings()
    regions = split_regions(LENGTHS, groups, 1)
    assert split_faults(regions, groups) == 0
    first = pl.col("contig") == "Chr01A"
    other = "val" if regions.row(0, named=True)["split"] == "train" else "train"
    assert (
        split_faults(regions.with_columns(split=pl.when(first).then(pl.lit(other)).otherwise("split")), groups)
        == 1
    )


def test_blocks_of_one_group_are_no_fault_unless_they_are_too_near():
    blocks = settings(by="block", block_bases=10_000, gap_bases=1_000)
    regions = split_regions({"Chr1": 300_000}, blocks, 1)
    assert regions["group"].n_unique() == 1
    assert split_faults(regions, blocks) == 0
    changes = regions.height - 1
    assert split_faults(regions, blocks.model_copy(update={"gap_bases": 1_001})) == changes
    assert split_faults(regions.with_columns(end=pl.col("end") + 1), blocks) == changes
