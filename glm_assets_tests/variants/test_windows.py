import hashlib
from typing import Literal

import numpy as np
import polars as pl
import pytest

from glm_assets.genome.splits import SplitRule, md5_split
from glm_assets.genome.windows import WindowRecipe
from glm_assets.storage.schemas import VARIANT_WINDOWS
from glm_assets.variants.labels import FAITHFUL
from glm_assets.variants.variants import build_variants
from glm_assets.variants.windows import WindowCounts, build_variant_windows, digests

from .records import write_records

RECIPE = WindowRecipe(length=16, anchor=8)
CONTIG_NAME = "NC_000013.11"
BASES = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(13).integers(0, 4, 600)]
BASES[300:310] = ord("N")
TEXT = BASES.tobytes().decode()


def other(base: str) -> str:
    return "ACGTA"["ACGT".index(base) + 1]


def snv(pos: int, **fields) -> dict:
    return {"pos": pos, "ref": TEXT[pos - 1], "alt": other(TEXT[pos - 1]), **fields}


def deletion(pos: int, length: int) -> dict:
    return {"pos": pos, "ref": TEXT[pos - 1 : pos + length], "alt": TEXT[pos - 1]}


ROWS = [
    snv(100),
    {"pos": 100, "ref": TEXT[99], "alt": TEXT[99] + "ACGTA", "clnsig": "Benign"},
    snv(4),
    deletion(104, 3),
    deletion(110, 12),  # REF runs past the window's end
    {"pos": 200, "ref": other(TEXT[199]), "alt": TEXT[199]},  # REF disagrees in known sequence
    {"pos": 295, "ref": other(TEXT[294]), "alt": TEXT[294]},  # and beside N
    snv(299),
    snv(598),
    snv(150, clnsig="Uncertain_significance"),
]


@pytest.fixture
def variants(tmp_path) -> pl.DataFrame:
    return build_variants(write_records(tmp_path, ROWS), "13", policy=FAITHFUL)[0]


def build(
    variants: pl.DataFrame, split: Literal["faithful", "locus"] = "faithful"
) -> tuple[pl.DataFrame, WindowCounts]:
    return build_variant_windows(variants, BASES, CONTIG_NAME, RECIPE, SplitRule(split))


def test_variants_of_one_position_keep_their_order(tmp_path):
    alts = [base for base in "TGCA" if base != TEXT[99]]
    records = write_records(tmp_path, [{"pos": 100, "ref": TEXT[99], "alt": alt} for alt in alts])
    windows, _ = build(build_variants(records, "13", policy=FAITHFUL)[0])
    assert windows["alt"].to_list() == alts


def test_rows_are_sorted_by_position_and_obey_the_schema(variants):
    windows, _ = build(variants)
    VARIANT_WINDOWS.check(windows)
    assert windows["pos"].to_list() == [4, 100, 100, 104, 299]
    assert windows["kind"].to_list() == ["snv", "snv", "ins", "del", "snv"]
    assert windows["label"].to_list() == [1, 1, 0, 1, 1]


def test_counts_add_up_and_tell_the_mismatch_from_what_does_not_fit(variants):
    _, counts = build(variants)
    assert counts == WindowCounts(
        rows=9,
        kept=5,
        dropped={"window_outside_contig": 1, "ref_longer_than_window": 1, "ref_mismatch": 2},
        distinct_ref_windows=4,
        compared=5,
        mismatches=1,
    )
    assert counts.rows == counts.kept + sum(counts.dropped.values())
    assert counts.mismatch_share == 0.2


def test_windows_and_digests_are_those_of_the_contig(variants):
    windows, _ = build(variants)
    for row in windows.iter_rows(named=True):
        start, end, offset = row["window_start"], row["window_end"], row["variant_offset"]
        assert (start, end) == (max(0, row["pos"] - 9), max(0, row["pos"] - 9) + 16)
        assert row["ref_seq"] == TEXT[start:end]
        changed = TEXT[start : start + offset] + row["alt"] + TEXT[start + offset + len(row["ref"]) :]
        assert row["var_seq"] == changed[:16]
        assert row["ref_digest"] == hashlib.sha256(row["ref_seq"].encode()).hexdigest()[:32]
        assert row["var_digest"] == hashlib.sha256(row["var_seq"].encode()).hexdigest()[:32]


def test_faithful_splits_hash_contig_and_one_based_start(variants):
    windows, _ = build(variants)
    labels = [f"{CONTIG_NAME}:{start + 1}" for start in windows["window_start"]]
    assert windows["split"].to_list() == md5_split(labels).tolist()


def test_a_locus_is_the_start_of_its_first_window_under_both_rules(variants):
    for rule in ("faithful", "locus"):
        assert build(variants, rule)[0]["locus"].to_list() == [0, 91, 91, 91, 290]


def test_locus_splits_do_not_straddle(variants):
    windows, _ = build(variants, "locus")
    assert windows.group_by("locus").agg(pl.col("split").n_unique())["split"].to_list() == [1, 1, 1]


def test_row_order_of_the_variants_does_not_matter_beyond_ties(variants):
    windows, _ = build(variants)
    shuffled, _ = build(variants.sample(fraction=1, shuffle=True, seed=1))
    keys = ["pos", "alt"]
    assert shuffled.sort(keys).equals(windows.sort(keys))


def test_no_kept_variants_make_an_empty_table(variants):
    windows, counts = build(variants.filter(~pl.col("keep")), "locus")
    VARIANT_WINDOWS.check(windows)
    assert (windows.height, counts.kept, counts.mismatch_share, counts.distinct_ref_windows) == (0, 0, 0.0, 0)


def test_the_table_survives_its_file(variants, tmp_path):
    windows, _ = build(variants)
    VARIANT_WINDOWS.write(windows, tmp_path / "part.parquet")
    assert pl.read_parquet(tmp_path / "part.parquet").equals(windows)


def test_digest_vector():
    window = np.frombuffer(b"ACGT", np.uint8)[None, :]
    assert digests(window).to_list() == [hashlib.sha256(b"ACGT").hexdigest()[:32]]
