"""The filter chain on alleles: one row per ALT with its kind and length, or the reason why it is dropped.

The chain is the original pipeline's (GitHub Shim-Min-Kyoung/Dacon-2-Medical-AI-MAI-), with its one length counter
split in two. Labels and windows follow elsewhere.
"""

from __future__ import annotations

from typing import Final

import polars as pl

NO_ALT: Final = "no_alt"
REF_NOT_ACGT: Final = "not_acgt_ref"
ALT_NOT_ACGT: Final = "not_acgt_alt"
SAME_ALLELE: Final = "same_allele"
EQUAL_LENGTH: Final = "equal_length"
"""REF and ALT of the same length above 1: several substitutions at once."""
OVER_INDEL_MAX: Final = "over_indel_max"

_ACGT = "^[ACGT]+$"


def explode_alts(records: pl.DataFrame) -> pl.DataFrame:
    """Make one row per ALT from one row per record; a record without ALT (`.`) keeps one row.

    Args:
        records: Rows with `ref` and `alt` as in the VCF.

    Returns:
        The rows in their order, alleles in upper case, with `alt_index` int64, the 0-based place of the ALT.
    """
    alts = pl.col("alt").fill_null(".").str.to_uppercase().str.split(",")
    return records.with_columns(
        pl.col("ref").str.to_uppercase(), alts.alias("alt"), pl.int_ranges(alts.list.len()).alias("alt_index")
    ).explode("alt", "alt_index")


def filter_alleles(rows: pl.DataFrame, indel_max: int) -> pl.DataFrame:
    """Add the kind and length of each variant, or why its alleles cannot be used.

    The length of an insertion or deletion is the difference of the allele lengths, and only that is limited: a
    long REF replaced by a somewhat shorter ALT is kept.

    Args:
        rows: One row per ALT with `ref` and `alt` in upper case.
        indel_max: Longest insertion or deletion in bases.

    Returns:
        The rows with `kind` (`snv`, `ins`, `del`), `var_len` int16 (1 for an SNV) and `drop_reason`; a row has
        either a reason, or kind and length.
    """
    ref, alt = pl.col("ref"), pl.col("alt")
    gained = alt.str.len_bytes().cast(pl.Int64) - ref.str.len_bytes().cast(pl.Int64)
    reason = (
        pl.when(alt == ".").then(pl.lit(NO_ALT))
        .when(~ref.str.contains(_ACGT)).then(pl.lit(REF_NOT_ACGT))
        .when(~alt.str.contains(_ACGT)).then(pl.lit(ALT_NOT_ACGT))
        .when(ref == alt).then(pl.lit(SAME_ALLELE))
        .when((gained == 0) & (ref.str.len_bytes() > 1)).then(pl.lit(EQUAL_LENGTH))
        .when(gained.abs() > indel_max).then(pl.lit(OVER_INDEL_MAX))
    )  # fmt: skip
    kind = pl.when(gained == 0).then(pl.lit("snv")).when(gained > 0).then(pl.lit("ins")).otherwise(pl.lit("del"))
    var_len = pl.when(gained == 0).then(1).otherwise(gained.abs())
    usable = pl.col("drop_reason").is_null()
    return rows.with_columns(reason.alias("drop_reason")).with_columns(
        pl.when(usable).then(kind).alias("kind"), pl.when(usable).then(var_len).cast(pl.Int16).alias("var_len")
    )
