import numpy as np
import polars as pl
import pytest

from glm_assets.genome.splits import SplitRule, split_by_locus, split_by_window
from glm_assets.storage.schemas import SPLIT_AUDIT
from glm_assets.variants.leakage import AUDITED_COLUMNS, TOTAL, audit_splits, measure_leakage, measure_overlap
from glm_assets.variants.splitting import split_windows


def table(rows: list[tuple]) -> pl.DataFrame:
    names = ["chrom", "split", "window_start", "window_end"]
    return pl.DataFrame(rows, schema=names, orient="row", schema_overrides={"window_start": pl.Int64})


def audited(rows: list[tuple]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=AUDITED_COLUMNS, orient="row")


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


def test_bases_of_the_pseudoautosomal_regions_are_those_of_x_and_of_y():
    par2_x, par2_y = 155_701_382, 56_887_902
    windows = table(
        [
            ("X", "train", 20_000, 20_100),
            ("X", "train", par2_x - 50, par2_x + 50),
            ("X", "test", par2_x + 200, par2_x + 300),
            ("Y", "train", par2_y + 210, par2_y + 310),
            ("Y", "val", 20_010, 20_110),
            ("Y", "val", par2_y - 50, par2_y + 50),  # half of it is Y's own
            ("Y", "val", par2_x, par2_x + 10),  # not the place that X's PAR2 is carried to
            ("Y", "test", 5_000_000, 5_000_100),
            ("1", "test", 20_000, 20_100),
        ]
    )
    assert measure_overlap(windows).rows() == [
        ("X", "test", 0.9),
        ("Y", "val", 0.9),
        ("Y", "val", 0.5),
        ("Y", "val", 0.0),
        ("Y", "test", 0.0),
        ("1", "test", 0.0),
    ]


@pytest.mark.parametrize("rule", ["locus", "gene", "temporal"])
def test_windows_of_x_and_y_leak_nothing_to_each_other_whichever_is_split_first(rule):
    x, y = par_windows("X", 0), par_windows("Y", 10)
    earlier = pl.concat([x, y]) if rule == "temporal" else None
    halves = [
        own.with_columns(
            split=pl.Series(split_windows(own, "NC", SplitRule(rule), partner=other, earlier=earlier).splits)
        )
        for own, other in ((x, y), (y, x))
    ]
    assert halves[0]["split"].to_list() == halves[1]["split"].to_list()
    assert halves[0]["split"].n_unique() > 1
    assert measure_leakage(pl.concat(halves))["overlap"].sum() == 0
    alone = split_windows(y, "NC", SplitRule(rule), earlier=earlier).splits
    apart = pl.concat([halves[0], y.with_columns(split=pl.Series(alone))])
    assert measure_leakage(apart)["overlap"].max() == 1014 / 1024


def par_windows(chrom: str, shift: int) -> pl.DataFrame:
    """Windows of PAR1, 3,000 bases apart, on Y 10 bases beside those of X; no two are equal."""
    starts = pl.Series(range(20_000 + shift, 400_000, 3000))
    return pl.DataFrame({"window_start": starts}).select(
        chrom=pl.lit(chrom),
        pos=pl.col("window_start") + 1,
        ref=pl.lit("A"),
        alt=pl.lit("C"),
        variation_id=pl.col("window_start"),
        genes=pl.lit(None, pl.String),
        window_start="window_start",
        window_end=pl.col("window_start") + 1024,
        ref_digest=pl.format("{}r{}", pl.lit(chrom), "window_start"),
        var_digest=pl.format("{}v{}", pl.lit(chrom), "window_start"),
    )


def test_genes_and_windows_of_train_are_found_on_any_chromosome():
    windows = audited(
        [
            ("1", "train", 0, 10, "A,B", "r1", "v1"),
            ("1", "train", 90, 99, None, "r2", "v2"),
            ("X", "val", 0, 10, "C,B", "r9", "v9"),  # a gene
            ("X", "val", 20, 30, None, "r1", "v9"),  # the reference window of the first
            ("X", "test", 40, 50, "C", "r9", "v2"),  # the variant window of the second
            ("X", "test", 60, 70, "AB", "r1", "v2"),  # one of each, but of different rows
            ("X", "test", 80, 90, "C", "r2", "v2"),  # both of the second
        ]
    )
    leakage = measure_leakage(windows)
    assert leakage["overlap"].to_list() == [0.0] * 5
    flags = leakage.select("shared_gene", "duplicate_ref", "duplicate_var", "duplicate_pair").rows()
    assert [[name for name, on in zip("grvp", row, strict=True) if on] for row in flags] == [
        ["g"],
        ["r"],
        ["v"],
        ["r", "v"],
        ["r", "v", "p"],
    ]


@pytest.mark.parametrize("seed", range(10))
def test_shared_genes_and_windows_agree_with_every_pair_of_rows(seed):
    generator = np.random.default_rng(seed)
    names = np.array(list("ABCDEFGHIJKL"))
    rows = []
    for _ in range(80):
        genes = ",".join(generator.choice(names, generator.integers(0, 4), replace=False)) or None
        split = str(generator.choice(["train", "val", "test"], p=[0.15, 0.45, 0.4]))
        digests = [f"{kind}{generator.integers(25)}" for kind in "rv"]
        rows.append((str(generator.choice(["1", "Y"])), split, 0, 5, genes, *digests))
    windows = audited(rows)
    held_out = [row for chrom in windows["chrom"].unique(maintain_order=True) for row in rows if row[0] == chrom]
    train = [row for row in rows if row[1] == "train"]
    expected = []
    for _, split, _, _, genes, ref, var in held_out:
        if split == "train":
            continue
        mine = set((genes or "").split(",")) - {""}
        expected.append(
            (
                any(mine & set((other[4] or "").split(",")) for other in train),
                any(ref == other[5] for other in train),
                any(var == other[6] for other in train),
                any((ref, var) == other[5:] for other in train),
            )
        )
    found = (
        measure_leakage(windows).select("shared_gene", "duplicate_ref", "duplicate_var", "duplicate_pair").rows()
    )
    assert found == expected
    assert all(0 < sum(column) < len(found) for column in list(zip(*found, strict=True))[:3])


def test_the_audit_sums_up_by_chromosome_and_in_total():
    names = ["chrom", "split", "overlap", "shared_gene", "duplicate_ref", "duplicate_var", "duplicate_pair"]
    leakage = pl.DataFrame(
        [
            ("1", "val", 0.5, True, True, True, True),
            ("1", "val", 0.0, True, True, False, False),
            ("2", "val", 1.0, False, False, False, False),
            ("2", "test", 0.0, False, False, True, False),
        ],
        schema=names,
        orient="row",
    )
    audit = audit_splits(leakage)
    SPLIT_AUDIT.check(audit)
    assert audit.rows() == [
        ("1", "val", 2, 1, 0.5, 0.25, 0.5, 2, 1.0, 2, 1, 1),
        ("2", "val", 1, 1, 1.0, 1.0, 1.0, 0, 0.0, 0, 0, 0),
        ("2", "test", 1, 0, 0.0, 0.0, 0.0, 0, 0.0, 0, 1, 0),
        (TOTAL, "val", 3, 2, pytest.approx(2 / 3), 0.5, 1.0, 2, pytest.approx(2 / 3), 2, 1, 1),
        (TOTAL, "test", 1, 0, 0.0, 0.0, 0.0, 0, 0.0, 0, 1, 0),
    ]


def test_locus_splits_leak_nothing_and_faithful_ones_do():
    generator = np.random.default_rng(3)
    starts = np.sort(generator.integers(0, 2_000_000, 2000))
    ends = starts + 1024
    digests = [f"r{start}" for start in starts.tolist()]
    frame = pl.DataFrame(
        {"chrom": "7", "window_start": starts, "window_end": ends, "genes": None, "ref_digest": digests},
        schema_overrides={"genes": pl.String},
    ).with_columns(pl.Series("var_digest", [f"v{row}" for row in range(2000)]))
    _, by_locus = split_by_locus("7", starts, ends)
    audits = [
        audit_splits(measure_leakage(frame.with_columns(split=pl.Series(splits))))
        for splits in (by_locus, split_by_window("NC_000007.14", starts))
    ]
    assert audits[0]["overlapping_rows"].sum() == audits[0]["duplicate_ref_rows"].sum() == 0
    assert audits[0]["rows"].sum() > 0
    assert audits[1]["overlapping_share"].min() > 0.5


def test_nothing_held_out_is_an_empty_audit():
    audit = audit_splits(measure_leakage(audited([("1", "train", 0, 10, "A", "r", "v")])))
    SPLIT_AUDIT.check(audit)
    assert audit.is_empty()


def test_nothing_in_train_leaks_nothing():
    leakage = measure_leakage(audited([("1", "val", 0, 10, "A", "r", "v"), ("1", "test", 0, 10, None, "r", "v")]))
    assert leakage.rows() == [("1", "val", 0.0, *[False] * 4), ("1", "test", 0.0, *[False] * 4)]
