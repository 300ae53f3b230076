"""The tables about releases as such."""

from __future__ import annotations

import polars as pl

from glm_assets.storage.tables import Column, Table

_I8, _I64, _STR, _BOOL = pl.Int8(), pl.Int64(), pl.String(), pl.Boolean()

_LABEL = "1 pathogenic, 0 benign by this profile's rules; null when dropped or absent"


def _before_and_after(name: str, dtype: pl.DataType, description: str) -> tuple[Column, Column]:
    return (
        Column(f"old_{name}", dtype, f"earlier release: {description}"),
        Column(f"new_{name}", dtype, f"newest release: {description}"),
    )


CLINVAR_RELEASE_DIFF = Table(
    "clinvar_release_diff",
    "One row per alternate allele that differs between the newest release and the one before it.",
    (
        Column("variation_id", _I64, "ClinVar Variation ID; not unique per alternate allele"),
        Column("chrom", _STR, "chromosome: 1..22, X, Y or MT"),
        Column("pos", _I64, "1-based VCF position of the first base of `ref`"),
        Column("ref", _STR, "reference allele, upper case"),
        Column("alt", _STR, "alternate allele, upper case; '.' where the record has none"),
        Column("gene", _STR, "first gene symbol of GENEINFO, that of the newest release where it has one"),
        Column("change", _STR, "added, removed, moved (same Variation ID, other alleles or place) or changed"),
        Column("moved_from", _STR, "where a moved allele was: chrom:pos:ref>alt; else null"),
        Column("clnsig_changed", _BOOL, "CLNSIG differs; false for what was added or removed, here and below"),
        Column("review_changed", _BOOL, "CLNREVSTAT differs"),
        Column("stars_changed", _BOOL, "the stars of the review status differ"),
        Column("label_changed", _BOOL, "the label by this profile's rules differs, no label counting as one"),
        *_before_and_after("clnsig", _STR, "CLNSIG, verbatim"),
        *_before_and_after("clnrevstat", _STR, "CLNREVSTAT, verbatim"),
        *_before_and_after("stars", _I8, "review status as ClinVar's stars, 0 to 4"),
        *_before_and_after("label", _I8, _LABEL),
        *_before_and_after("drop_reason", _STR, "first rule that dropped the row; null when labelled or absent"),
    ),
)
