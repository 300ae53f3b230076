"""A made-up person: settings, ClinVar's records and variants as the study's functions take them."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import polars as pl

from glm_assets.sources.alignments import open_alignments
from glm_assets.storage.schemas import RECORDS
from glm_assets.storage.schemas_impact import INDIVIDUAL_VARIANTS
from glm_assets.studies.impact.configuration import CarriedSettings, ReadSettings

MISSENSE = "SO:0001583|missense_variant"
CHROM = "21"


def carried_settings(**changes) -> CarriedSettings:
    values = {"match": "allele", "require_dbsnp": False, "min_reads": 2, "min_share": 0.2}
    return CarriedSettings(**(values | changes))


def read_settings(**changes) -> ReadSettings:
    values = {
        "policy": "strict",
        "length": 150,
        "allele": "both",
        "per_variant": 4,
        "absent_variants": 0,
        "min_mapping_quality": 20,
        "min_base_quality": 20,
    }
    return ReadSettings(**(values | changes))


def clinvar(rows: list[tuple], chrom: str = CHROM) -> pl.DataFrame:
    """Records of (pos, ref, alt) or (pos, ref, alt, mc, rs)."""
    full = [(*row, MISSENSE, "1")[:5] if len(row) == 3 else row for row in rows]
    frame = pl.DataFrame(
        full, {"pos": pl.Int64, "ref": pl.String, "alt": pl.String, "mc": pl.String, "rs": pl.String}, orient="row"
    )
    columns = {
        "chrom": pl.lit(chrom),
        "variation_id": pl.int_range(1, pl.len() + 1),
        "gene": pl.lit("GENE"),
        "clnsig": pl.lit("Pathogenic"),
        "record": pl.int_range(pl.len()),
    }
    known = frame.with_columns(**columns)
    return known.select(
        (pl.col(name) if name in known.columns else pl.lit(None).alias(name)).cast(dtype)
        for name, dtype in RECORDS.schema.items()
    )


def variants(rows: list[tuple], **columns) -> pl.DataFrame:
    """Rows of `impact_individual_variants` from (pos, ref, alt, score, carried)."""
    schema = {"pos": pl.Int64, "ref": pl.String, "alt": pl.String, "score": pl.Float64, "carried": pl.Boolean}
    impact = {10.0: "high", 5.0: "moderate", 2.0: "low", 1.0: "modifier", 0.0: "none"}
    frame = pl.DataFrame(rows, schema, orient="row").with_columns(
        chrom=pl.lit(CHROM),
        individual=pl.lit("P"),
        variation_id=pl.int_range(pl.len()),
        gene=pl.lit("GENE"),
        impact=pl.col("score").replace_strict(impact),
        **{name: pl.Series(value) for name, value in columns.items()},
    )
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None).alias(name)).cast(dtype)
        for name, dtype in INDIVIDUAL_VARIANTS.schema.items()
    )


@contextmanager
def opened(path: Path):
    """Alignments whose index is made in a folder beside."""
    with open_alignments(path, index_folder=path.parent / "indexes") as alignments:
        yield alignments
