"""How much of the validation and test windows a model has seen in training, base by base.

Works on window tables of any number of chromosomes. Figures of these numbers are in `evaluation.variant_figures`.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from glm_assets.genome.intervals import covered_bases, merge_intervals
from glm_assets.storage.schemas import SPLIT_AUDIT

TOTAL: Final = "all"
"""The chromosome of the rows of `audit_splits` that count every chromosome."""


def measure_overlap(windows: pl.DataFrame) -> pl.DataFrame:
    """Measure which share of every val and test window lies in the union of the train windows.

    Args:
        windows: Rows with `chrom`, `split`, `window_start` and `window_end` (0-based half-open), in any order.

    Returns:
        One row per val or test row: `chrom`, `split` and `overlap`, the share of its window's bases that train
        windows cover, 0.0 to 1.0.
    """
    empty = pl.DataFrame(schema={"chrom": pl.String, "split": pl.String, "overlap": pl.Float64})
    parts = windows.partition_by("chrom", maintain_order=True)
    return pl.concat([empty, *(_overlap_on_chromosome(part) for part in parts)])


def audit_splits(overlap: pl.DataFrame) -> pl.DataFrame:
    """Sum `measure_overlap` up by split, per chromosome and in total.

    Returns:
        Columns of `SPLIT_AUDIT`: one row per chromosome and split in the order of the input, then one per split
        with the chromosome `all`.
    """
    total = overlap.with_columns(pl.lit(TOTAL).alias("chrom"))
    leaks = pl.col("overlap") > 0
    return (
        pl.concat([overlap, total])
        .group_by("chrom", "split", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("rows"),
            leaks.sum().cast(pl.Int64).alias("overlapping_rows"),
            leaks.mean().alias("overlapping_share"),
            pl.col("overlap").mean().alias("mean_overlap"),
            pl.col("overlap").max().alias("max_overlap"),
        )
        .select(SPLIT_AUDIT.schema.names())
    )


def _overlap_on_chromosome(windows: pl.DataFrame) -> pl.DataFrame:
    train = windows.filter(pl.col("split") == "train")
    union = merge_intervals(train["window_start"].to_numpy(), train["window_end"].to_numpy())
    held_out = windows.filter(pl.col("split") != "train")
    starts, ends = held_out["window_start"].to_numpy(), held_out["window_end"].to_numpy()
    overlap = covered_bases(starts, ends, union) / (ends - starts)
    return held_out.select("chrom", "split", pl.Series("overlap", overlap, dtype=pl.Float64))
