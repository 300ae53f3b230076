"""Small `records.parquet` files, written the way the release's parser writes them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from glm_assets.storage.schemas import RECORDS

DEFAULTS = {
    "chrom": "13",
    "filter": ".",
    "clnsig": "Pathogenic",
    "clnrevstat": "criteria_provided,_single_submitter",
    "gene": "BRCA2",
    "geneinfo": "BRCA2:675",
    "mc": "SO:0001583|missense_variant",
    "rs": "123",
}


def make_records(rows: list[dict]) -> pl.DataFrame:
    """Fill rows of `pos`, `ref`, `alt` and whatever differs from a pathogenic missense record of BRCA2."""
    numbered = [{"variation_id": 1000 + n, "record": n, **DEFAULTS, **row} for n, row in enumerate(rows)]
    return pl.DataFrame(numbered, schema=RECORDS.schema)


def write_records(folder: Path, rows: list[dict]) -> Path:
    path = folder / "records.parquet"
    make_records(rows).write_parquet(path)
    return path
