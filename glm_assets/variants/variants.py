"""The table `clinvar_variants`: every ALT of one chromosome with its label or its drop reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from glm_assets.errors import MissingUpstreamError
from glm_assets.storage.schemas import CLINVAR_VARIANTS
from glm_assets.variants.alleles import explode_alts, filter_alleles
from glm_assets.variants.genes import gene_symbols
from glm_assets.variants.labels import LabelPolicy, add_labels, count_unknown_words

INDEL_MAX: Final = 50
"""Longest insertion or deletion, the original pipeline's."""


@dataclass(frozen=True)
class VariantCounts:
    """What became of a chromosome's records.

    Attributes:
        records: Records of the chromosome.
        rows: ALTs; a record without ALT counts as one. `rows == kept + sum(dropped.values())`.
        kept: Rows with a label.
        dropped: Rows by drop reason, most frequent first.
        unknown_words: Rows by CLNSIG term or CLNREVSTAT value that the vocabulary lacks, as `CLNSIG=<term>`.
    """

    records: int
    rows: int
    kept: int
    dropped: dict[str, int]
    unknown_words: dict[str, int]


def build_variants(
    records: Path, chrom: str, *, policy: LabelPolicy, indel_max: int = INDEL_MAX
) -> tuple[pl.DataFrame, VariantCounts]:
    """Filter and label the ALTs of one chromosome.

    The first step of the chain that a row fails names its drop reason: alleles (see `alleles`), then label (see
    `labels`).

    Args:
        records: The release's `records.parquet`; only the chromosome's row groups are read.
        chrom: Chromosome key, such as `13`.
        policy: The label policy.
        indel_max: Longest insertion or deletion in bases.

    Returns:
        One row per ALT in the order of the file, columns of `CLINVAR_VARIANTS`, and the counts.

    Raises:
        MissingUpstreamError: The release has no record on the chromosome.
    """
    found = pl.scan_parquet(records, glob=False).filter(pl.col("chrom") == chrom).collect()
    if found.is_empty():
        raise MissingUpstreamError(
            f"The release {records} has no record on chromosome {chrom}",
            expected=f"one of {', '.join(chromosomes_of(records)) or 'no chromosome at all'}",
            fix="choose a chromosome that the release has, for example in GLM_CHROMOSOMES",
        )
    variants = label_records(found, policy=policy, indel_max=indel_max)
    dropped = _count_values(variants["drop_reason"])
    return variants, VariantCounts(
        records=found.height,
        rows=variants.height,
        kept=int(variants["keep"].sum()),
        dropped=dropped,
        unknown_words=count_unknown_words(variants),
    )


def label_records(records: pl.DataFrame, *, policy: LabelPolicy, indel_max: int = INDEL_MAX) -> pl.DataFrame:
    """Filter and label the ALTs of records.

    Args:
        records: Rows of the table `records`; none is fine.
        policy: The label policy.
        indel_max: Longest insertion or deletion in bases.

    Returns:
        One row per ALT in the order of the records, columns of `CLINVAR_VARIANTS`.
    """
    rows = add_labels(filter_alleles(explode_alts(records), indel_max), policy)
    return (
        rows.with_columns(
            pl.coalesce("drop_reason", "label_reason").alias("drop_reason"),
            pl.when(pl.col("drop_reason").is_null()).then(pl.col("label")).alias("label"),
            pl.col("mc").str.extract(r"^[^|,]*\|([^|,]+)").alias("consequence"),
            gene_symbols(pl.col("geneinfo")).alias("genes"),
        )
        .with_columns(pl.col("drop_reason").is_null().alias("keep"))
        .select(CLINVAR_VARIANTS.schema.names())
    )


def chromosomes_of(records: Path) -> list[str]:
    """List the chromosomes of a `records.parquet`, in the order of the file."""
    chroms = pl.scan_parquet(records, glob=False).select(pl.col("chrom").unique(maintain_order=True))
    return chroms.collect()["chrom"].to_list()


def _count_values(values: pl.Series) -> dict[str, int]:
    """Count the distinct values of a series without its nulls, most frequent first."""
    counts = values.drop_nulls().value_counts().sort(["count", values.name], descending=[True, False])
    return dict(counts.iter_rows())
