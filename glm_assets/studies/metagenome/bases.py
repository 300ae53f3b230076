"""What the bases of reads are besides upper-case A, C, G and T, looked at only where there is any such thing."""

from __future__ import annotations

import polars as pl

from glm_assets.genome.normalise import normalise

_PLAIN = "^[ACGT]*$"

_FIGURES = {
    "no_base": pl.col("sequence").str.contains("[^ACGTUNRYKMSWBDHVacgtunrykmswbdhv]"),
    "lower": pl.col("sequence").str.contains("[a-z]"),
    "uracil": pl.col("sequence").str.contains("[Uu]"),
    "iupac": pl.col("sequence").str.contains("[RYKMSWBDHVrykmswbdhv]"),
    "unknown": pl.col("sequence").str.count_matches("[^ACGTUacgtu]").cast(pl.UInt32),
}


def inspect_bases(sequences: pl.Series) -> pl.DataFrame:
    """Look for what is not upper-case A, C, G and T.

    Args:
        sequences: (n,) reads as a file has them, without nulls.

    Returns:
        n rows: whether a read has characters that stand for no base (`no_base`), lower case (`lower`), U (`uracil`) or
        IUPAC codes for several bases (`iupac`), and how many of its characters are no known base (`unknown`).
    """
    rows = pl.DataFrame({"sequence": sequences}).with_row_index("row")
    odd = rows.filter(~pl.col("sequence").str.contains(_PLAIN)).select("row", **_FIGURES)
    found = rows.select("row").join(odd, on="row", how="left", maintain_order="left")
    return found.select(
        pl.col("no_base", "lower", "uracil", "iupac").fill_null(value=False), pl.col("unknown").fill_null(0)
    )


def clean_bases(sequences: pl.Series) -> pl.Series:
    """Bring reads to upper-case DNA: U as T, IUPAC codes as N.

    Args:
        sequences: (n,) reads without characters that stand for no base.

    Returns:
        (n,) reads of A, C, G, T and N.

    Raises:
        FormatError: There is such a character.
    """
    rows = pl.DataFrame({"sequence": sequences}).with_row_index("row")
    odd = rows.filter(~pl.col("sequence").str.contains(_PLAIN))
    if odd.is_empty():
        return sequences
    changed = odd.select("row", clean=normalise(odd["sequence"]).sequences)
    joined = rows.join(changed, on="row", how="left", maintain_order="left")
    return joined.select(pl.coalesce("clean", "sequence").alias(sequences.name)).to_series()
