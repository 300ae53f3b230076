"""No variant, gene, read or sequence in two splits."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from glm_assets.studies.impact.configuration import SplitSettings
from glm_assets.studies.impact.splitting import leaks, split_examples, without_shared

LENGTH = 150


def settings(by: str, val: int = 20, test: int = 20) -> SplitSettings:
    return SplitSettings(by=by, val=val, test=test)


def frame(rows: list[tuple]) -> pl.DataFrame:
    """Examples of (pos, gene, read name, sequence)."""
    schema = {"pos": pl.Int64, "gene": pl.String, "read_name": pl.String, "sequence": pl.String}
    return pl.DataFrame(rows, schema, orient="row").with_columns(ref=pl.lit("A"), alt=pl.lit("G"))


def split(rows: list[tuple] | pl.DataFrame, by: str, chrom: str = "21", **shares) -> pl.DataFrame:
    examples = rows if isinstance(rows, pl.DataFrame) else frame(rows)
    return split_examples(examples, settings(by, **shares), chrom=chrom, length=LENGTH)


def groups(rows: list[tuple], by: str) -> list[str]:
    return split(rows, by)["group"].to_list()


def random_examples(seed: int, count: int = 800) -> pl.DataFrame:
    """Many variants, some of which share reads, sequences or genes."""
    generator = np.random.default_rng(seed)
    places = generator.integers(1, 400_000, count)
    return frame(
        [
            (
                int(p),
                f"G{p // 5000}" if p % 3 else None,
                f"r{generator.integers(900)}",
                f"S{generator.integers(2000)}",
            )
            for p in places
        ]
    )


@pytest.mark.parametrize("by", ["variant", "locus", "gene"])
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_in_two_splits(by, seed):
    found = split(random_examples(seed, 300), by, val=30, test=30)
    assert leaks(found) == {"groups": 0, "reads": 0, "sequences": 0}
    assert found["split"].n_unique() == 3
    for column in {"variant": ["pos"], "locus": ["pos"], "gene": ["pos", "gene"]}[by]:
        by_value = found.drop_nulls(column).group_by(column).agg(pl.col("split").n_unique())
        assert by_value["split"].max() == 1


def test_the_leak_check_sees_leaks():
    rows = frame([(100, "G", "r", "S"), (200, "G", "r", "S"), (300, "G", "q", "T")])
    leaking = rows.with_columns(group=pl.lit("g"), split=pl.Series(["train", "test", "train"]))
    assert leaks(leaking) == {"groups": 1, "reads": 1, "sequences": 1}


@pytest.mark.parametrize(("distance", "joined"), [(299, True), (300, False)])
def test_variants_whose_reads_can_share_a_base_are_one_locus(distance, joined):
    rows = [(1000, None, "a", "S"), (1000 + distance, None, "b", "T")]
    assert (len(set(groups(rows, "locus"))) == 1) == joined


def test_a_chain_of_loci_is_one_group():
    rows = [(1000 + 200 * i, None, f"r{i}", f"S{i}") for i in range(10)]
    assert len(set(groups(rows, "locus"))) == 1
    assert len(set(groups(rows, "variant"))) == 10


@pytest.mark.parametrize("by", ["variant", "locus", "gene"])
@pytest.mark.parametrize("shared", [("r", "r", "S", "T"), ("r", "q", "S", "S")])
def test_a_read_or_a_sequence_joins_whatever_the_distance(by, shared):
    first, second, one, other = shared
    rows = [(1000, None, first, one), (90_000, None, second, other), (50_000, None, "x", "X")]
    found = groups(rows, by)
    assert found[0] == found[1] != found[2]


def test_genes_join_and_name_their_groups():
    rows = [(1000, "B", "a", "S"), (90_000, "B", "b", "T"), (90_100, "A", "c", "U"), (50_000, None, "d", "V")]
    assert groups(rows, "gene") == ["A", "A", "A", f"21:{(50_000 - 1 - LENGTH) // 256}"]
    assert len(set(groups(rows, "locus"))) == 3


def test_a_gene_is_in_one_split_on_every_chromosome():
    rows = [(1000, "SHOX", "a", "S")]
    assert split(rows, "gene", "X")["split"].to_list() == split(rows, "gene", "Y")["split"].to_list()


def test_a_variant_names_its_group():
    assert groups([(1000, None, "a", "S"), (1000, None, "b", "T")], "variant") == ["21:1000:A>G"] * 2


def test_a_chromosome_is_one_group():
    assert set(groups([(1000, None, "a", "S"), (90_000, None, "b", "T")], "chromosome")) == {"21"}


@pytest.mark.parametrize("by", ["variant", "locus", "gene", "chromosome"])
def test_neither_order_nor_the_rest_of_the_table_decides(by):
    rows = random_examples(4, 100).with_row_index()
    found = split(rows, by)
    shuffled = split(rows.sample(fraction=1, shuffle=True, seed=9), by).sort("index")
    assert found.equals(shuffled)


def test_the_split_is_the_md5_of_the_group():
    found = split(random_examples(5), "variant", val=10, test=30)
    for group, side in found.select("group", "split").unique().iter_rows():
        residue = int(hashlib.md5(group.encode()).hexdigest()[:8], 16) % 100
        assert side == ("train" if residue < 60 else "val" if residue < 70 else "test")


def test_shares_are_those_asked_for():
    rows = [(1000 * i, None, f"r{i}", f"S{i}") for i in range(1, 2000)]
    shares = split(rows, "locus", val=10, test=30)["split"].value_counts(normalize=True)
    assert dict(shares.iter_rows()) == pytest.approx({"train": 0.6, "val": 0.1, "test": 0.3}, abs=0.03)


def test_no_locus_reaches_into_another_split():
    found = split(random_examples(6), "locus").sort("pos")
    for left, right in pairwise(found.select("pos", "split").rows()):
        assert left[1] == right[1] or right[0] - left[0] >= 2 * LENGTH


@pytest.mark.parametrize("by", ["variant", "locus", "gene", "chromosome"])
def test_no_examples(by):
    found = split([], by)
    assert found.schema["group"] == found.schema["split"] == pl.String
    assert found.is_empty()
    assert leaks(found) == {"groups": 0, "reads": 0, "sequences": 0}


def over_chromosomes(rows: list[tuple]) -> pl.DataFrame:
    """Examples of (chrom, read name, sequence, split), each a group of its own."""
    examples = pl.DataFrame(rows, ["chrom", "read_name", "sequence", "split"], orient="row")
    return examples.with_columns(group=pl.format("g{}", pl.int_range(pl.len())))


def test_what_trains_on_one_chromosome_is_judged_on_no_other():
    rows = [
        ("X", "a", "PAR", "train"),
        ("Y", "b", "PAR", "test"),
        ("Y", "c", "own", "test"),
        ("Y", "d", "repeat", "test"),
        ("22", "e", "repeat", "val"),
        ("22", "a", "other", "val"),
        ("22", "f", "PAR", "train"),
        ("22", "g", "last", "val"),
    ]
    examples = over_chromosomes(rows)
    assert leaks(examples) == {"groups": 0, "reads": 1, "sequences": 2}
    kept = without_shared(examples)
    assert kept["read_name"].to_list() == ["a", "c", "d", "f", "g"]
    assert not any(leaks(kept).values())


def test_a_leak_within_a_chromosome_stays_to_be_seen():
    examples = over_chromosomes([("21", "a", "S", "train"), ("21", "b", "S", "test")])
    assert without_shared(examples).equals(examples)
