"""What the validation and test windows share with those of train: bases, genes, whole windows.

Works on window tables of any number of chromosomes. Figures of these numbers are in `evaluation.variant_figures`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from glm_assets.genome.intervals import Positions, covered_bases, merge_intervals
from glm_assets.genome.pseudoautosomal import SEX_PARTNER, pseudoautosomal_parts
from glm_assets.storage.schemas import SPLIT_AUDIT

TOTAL: Final = "all"
"""The chromosome of the rows of `audit_splits` that count every chromosome."""

AUDITED_COLUMNS: Final = ["chrom", "split", "window_start", "window_end", "genes", "ref_digest", "var_digest"]

_PAIR: Final = pl.concat_str("ref_digest", "var_digest")
_DUPLICATES: Final = {
    "duplicate_ref": pl.col("ref_digest"),
    "duplicate_var": pl.col("var_digest"),
    "duplicate_pair": _PAIR,
}


def measure_leakage(windows: pl.DataFrame) -> pl.DataFrame:
    """Measure for every val and test row what of it is in train, on any chromosome.

    Args:
        windows: Rows with `AUDITED_COLUMNS`, in any order.

    Returns:
        One row per val or test row: `chrom`, `split`, `overlap` as `measure_overlap` gives it, and whether train has
        one of its genes (`shared_gene`), its reference window (`duplicate_ref`), its variant window
        (`duplicate_var`) and both in one row (`duplicate_pair`).
    """
    train = windows.filter(pl.col("split") == "train")
    genes = train["genes"].drop_nulls().unique().str.split(",").explode().unique()
    shared = pl.col("genes").str.split(",").list.set_intersection(genes.implode().first()).list.len() > 0
    flags = [shared.fill_null(value=False).alias("shared_gene")]
    for name, value in _DUPLICATES.items():
        seen = train.select(value.unique())[:, 0]
        flags.append(value.is_in(seen.implode()).alias(name))
    return _with_overlap(windows).select("chrom", "split", "overlap", *flags)


def measure_overlap(windows: pl.DataFrame) -> pl.DataFrame:
    """Measure which share of every val and test window lies in the union of the train windows.

    Args:
        windows: Rows with `chrom`, `split`, `window_start` and `window_end` (0-based half-open), in any order.

    Returns:
        One row per val or test row: `chrom`, `split` and `overlap`, the share of its window's bases that train
        windows cover, 0.0 to 1.0. Bases of the pseudoautosomal regions are covered by windows of X and of Y.
    """
    return _with_overlap(windows).select("chrom", "split", "overlap")


def audit_splits(leakage: pl.DataFrame) -> pl.DataFrame:
    """Sum `measure_leakage` up by split, per chromosome and in total.

    Returns:
        Columns of `SPLIT_AUDIT`: one row per chromosome and split in the order of the input, then one per split
        with the chromosome `all`.
    """
    total = leakage.with_columns(pl.lit(TOTAL).alias("chrom"))
    leaks = pl.col("overlap") > 0
    return (
        pl.concat([leakage, total])
        .group_by("chrom", "split", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("rows"),
            leaks.sum().cast(pl.Int64).alias("overlapping_rows"),
            leaks.mean().alias("overlapping_share"),
            pl.col("overlap").mean().alias("mean_overlap"),
            pl.col("overlap").max().alias("max_overlap"),
            pl.col("shared_gene").sum().cast(pl.Int64).alias("shared_gene_rows"),
            pl.col("shared_gene").mean().alias("shared_gene_share"),
            *(pl.col(name).sum().cast(pl.Int64).alias(f"{name}_rows") for name in _DUPLICATES),
        )
        .select(SPLIT_AUDIT.schema.names())
    )


def _with_overlap(windows: pl.DataFrame) -> pl.DataFrame:
    empty = windows.clear().with_columns(pl.lit(None, dtype=pl.Float64).alias("overlap"))
    train = windows.filter(pl.col("split") == "train")
    parts = windows.partition_by("chrom", maintain_order=True)
    return pl.concat([empty, *(_overlap_on_chromosome(part, train) for part in parts)])


def _overlap_on_chromosome(windows: pl.DataFrame, train: pl.DataFrame) -> pl.DataFrame:
    union = merge_intervals(*_train_intervals(train, windows["chrom"][0]))
    held_out = windows.filter(pl.col("split") != "train")
    starts, ends = _bounds(held_out)
    overlap = covered_bases(starts, ends, union) / (ends - starts)
    return held_out.with_columns(pl.Series("overlap", overlap, dtype=pl.Float64))


def _train_intervals(train: pl.DataFrame, chrom: str) -> tuple[Positions, Positions]:
    """What train windows cover of a chromosome; for X and Y also those of the other one that share bases with it."""
    starts, ends = _bounds(train.filter(pl.col("chrom") == chrom))
    if partner := SEX_PARTNER.get(chrom):
        windows = _bounds(train.filter(pl.col("chrom") == partner))
        _, firsts, lasts = pseudoautosomal_parts(partner, *windows, onto=chrom)
        starts, ends = np.concatenate([starts, firsts]), np.concatenate([ends, lasts])
    return starts, ends


def _bounds(windows: pl.DataFrame) -> tuple[Positions, Positions]:
    return windows["window_start"].to_numpy(), windows["window_end"].to_numpy()
