"""Which SNV pairs of a test CSV are variants of ClinVar, told by the bases around them.

A pair's context is 32 bases on its left, the two bases, and 32 on its right: long enough to be of one place of the
genome as a rule, and wherever in its window either side has the variant.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

FLANK = 32
"""Bases on either side; a variant nearer to the end of a window than this cannot be matched."""

_KEY = "context"


def match_pairs(pairs: pl.DataFrame, sequences: pl.Series, windows: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Look pairs up among labelled windows, either sequence being the reference.

    Args:
        pairs: `Structure.pairs`.
        sequences: The CSV's sequences, by row.
        windows: Rows of `variant_windows`, a chromosome at a time, with the columns `CLINVAR_COLUMNS`.

    Returns:
        For each pair in order `label` (1 pathogenic, 0 benign, null without one), `split` (that of the row found, the
        most exposed of several: train, val, test), `swapped` (whether `variant` is the reference) and `found`: how
        many rows have the context. A context whose rows disagree on the label has none.
    """
    wanted = _contexts(pairs, sequences)
    seen = pl.concat([_known(wanted, frame) for frame in windows] or [_known(wanted, _NO_WINDOWS)])
    found = (
        wanted.join(seen, on=_KEY, how="inner")
        .group_by("pair")
        .agg(
            pl.when(pl.col("label").n_unique() == 1).then(pl.col("label").first()).alias("label"),
            pl.col("exposure").min(),
            pl.when(pl.col("swapped").n_unique() == 1).then(pl.col("swapped").first()).alias("swapped"),
            pl.len().cast(pl.Int64).alias("found"),
        )
    )
    every = pl.DataFrame({"pair": pl.int_range(len(pairs), eager=True)})
    return (
        every.join(found, on="pair", how="left", maintain_order="left")
        .with_columns(pl.col("exposure").replace_strict(_SPLIT_OF, return_dtype=pl.String).alias("split"))
        .select("label", "split", "swapped", pl.col("found").fill_null(0))
    )


CLINVAR_COLUMNS = ["kind", "ref", "alt", "label", "split", "variant_offset", "ref_seq"]
"""What `match_pairs` reads of `variant_windows`."""

_NO_WINDOWS = pl.DataFrame(
    schema=dict.fromkeys(("kind", "ref", "alt", "split", "ref_seq"), pl.String)
    | {"label": pl.Int8, "variant_offset": pl.Int16}
)
_EXPOSURE = {"train": 0, "val": 1, "test": 2}
_SPLIT_OF = {number: split for split, number in _EXPOSURE.items()}


def _contexts(pairs: pl.DataFrame, sequences: pl.Series) -> pl.DataFrame:
    """Two rows for each pair whose variant has its flanks: `pair`, `swapped` and the context."""
    at = pl.col("index").cast(pl.Int64)
    both = pairs.select(
        pl.int_range(pl.len()).alias("pair"),
        "index",
        sequences.gather(pairs["base"]).alias("first"),
        sequences.gather(pairs["variant"]).alias("second"),
    ).filter(at >= FLANK, at + FLANK < pl.col("first").str.len_bytes())
    sides = [
        both.select("pair", pl.lit(swapped).alias("swapped"), _context(ref, at, pl.col(var).str.slice(at, 1)))
        for ref, var, swapped in (("first", "second", False), ("second", "first", True))
    ]
    return pl.concat(sides)


def _known(wanted: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Label and exposure of the SNVs whose context is wanted."""
    at = pl.col("variant_offset").cast(pl.Int64)
    return (
        windows.filter(pl.col("kind") == "snv", at >= FLANK, at + FLANK < pl.col("ref_seq").str.len_bytes())
        .select(
            _context("ref_seq", at, pl.col("alt").str.to_uppercase()),
            "label",
            pl.col("split").replace_strict(_EXPOSURE, return_dtype=pl.Int8).alias("exposure"),
        )
        .join(wanted, on=_KEY, how="semi")
    )


def _context(column: str, at: pl.Expr, alt: pl.Expr) -> pl.Expr:
    return (pl.col(column).str.slice(at - FLANK, 2 * FLANK + 1) + ">" + alt).alias(_KEY)
