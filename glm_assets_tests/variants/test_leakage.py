import numpy as np
import polars as pl
import pytest

from glm_assets.genome.splits import split_by_locus, split_by_window
from glm_assets.storage.schemas import SPLIT_AUDIT
from glm_assets.variants.leakage import TOTAL, audit_splits, measure_overlap


def table(rows: list[tuple]) -> pl.DataFrame:
    names = ["chrom", "split", "window_start", "window_end"]
    return pl.DataFrame(rows, schema=names, orient="row", schema_overrides={"window_start": pl.Int64})


def random_windows(seed: int, count: int = 120) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        start = int(generator.integers(0, 1500))
        split = str(generator.choice(["train", "val", "test"], p=[0.3, 0.4, 0.3]))
        rows.append((str(generator.choice(["1", "X"])), split, start, start + int(generator.integers(1, 40))))
    return table(rows)


def test_bases_seen_in_training_are_counted_once():
    windows = table(
        [
            ("1", "train", 100, 200),
            ("1", "train", 150, 250),
            ("1", "val", 240, 340),
            ("1", "val", 250, 350),
            ("1", "test", 120, 220),
            ("2", "test", 120, 220),
        ]
    )
    assert measure_overlap(windows).rows() == [
        ("1", "val", 0.1),
        ("1", "val", 0.0),
        ("1", "test", 1.0),
        ("2", "test", 0.0),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_overlap_agrees_with_every_pair_of_windows(seed):
    windows = random_windows(seed)
    expected = []
    for chrom in windows["chrom"].unique(maintain_order=True):
        rows = windows.filter(pl.col("chrom") == chrom).rows(named=True)
        for held_out in rows:
            if held_out["split"] == "train":
                continue
            seen = set()
            for train in rows:
                if train["split"] == "train":
                    first = max(held_out["window_start"], train["window_start"])
                    seen.update(range(first, min(held_out["window_end"], train["window_end"])))
            length = held_out["window_end"] - held_out["window_start"]
            expected.append((chrom, held_out["split"], len(seen) / length))
    assert measure_overlap(windows).rows() == expected


def test_the_audit_sums_up_by_chromosome_and_in_total():
    overlap = pl.DataFrame(
        [("1", "val", 0.5), ("1", "val", 0.0), ("2", "val", 1.0), ("2", "test", 0.0)],
        schema=["chrom", "split", "overlap"],
        orient="row",
    )
    audit = audit_splits(overlap)
    SPLIT_AUDIT.check(audit)
    assert audit.rows() == [
        ("1", "val", 2, 1, 0.5, 0.25, 0.5),
        ("2", "val", 1, 1, 1.0, 1.0, 1.0),
        ("2", "test", 1, 0, 0.0, 0.0, 0.0),
        (TOTAL, "val", 3, 2, pytest.approx(2 / 3), 0.5, 1.0),
        (TOTAL, "test", 1, 0, 0.0, 0.0, 0.0),
    ]


def test_locus_splits_leak_nothing_and_faithful_ones_do():
    generator = np.random.default_rng(3)
    starts = np.sort(generator.integers(0, 2_000_000, 2000))
    ends = starts + 1024
    frame = pl.DataFrame({"chrom": "7", "window_start": starts, "window_end": ends})
    _, by_locus = split_by_locus("7", starts, ends)
    audits = [
        audit_splits(measure_overlap(frame.with_columns(split=pl.Series(splits))))
        for splits in (by_locus, split_by_window("NC_000007.14", starts))
    ]
    assert audits[0]["overlapping_rows"].sum() == 0
    assert audits[0]["rows"].sum() > 0
    assert audits[1]["overlapping_share"].min() > 0.5


def test_nothing_held_out_is_an_empty_audit():
    audit = audit_splits(measure_overlap(table([("1", "train", 0, 10)])))
    SPLIT_AUDIT.check(audit)
    assert audit.is_empty()
