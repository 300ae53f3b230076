"""Keys of vectors: the SHA-256 of everything that defines one, so that equal keys are equal work."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from glm_assets.storage.atomic import digest_of


def pair_keys(windows: pl.DataFrame, fingerprint: str, recipe: Mapping[str, Any]) -> pl.Series:
    """Keys of the vectors of variants.

    The offset and the allele lengths are part of a key because poolings around the variant depend on them: at the
    start of a contig, windows that begin at the same base hold their variants at different offsets.

    Args:
        windows: Rows with `ref_digest`, `var_digest`, `variant_offset`, `ref` and `alt`, and `reverse_var_seq` where
            both strands are embedded: near a deletion it holds bases that neither window has.
        fingerprint: The encoder's.
        recipe: The window recipe, JSON-able.

    Returns:
        One hex SHA-256 a row, named `key`.
    """
    prefix = f"pair|{fingerprint}|{digest_of(dict(recipe))}|"
    lengths = (pl.col(allele).str.len_bytes() for allele in ("ref", "alt"))
    parts = ["ref_digest", "var_digest", "variant_offset", *lengths]
    if "reverse_var_seq" in windows.columns:
        parts.append("reverse_var_seq")
    texts = windows.select(pl.concat_str(*parts, separator="|")).to_series()
    return _hashed(prefix, texts)


def sequence_keys(sequences: pl.Series, fingerprint: str) -> pl.Series:
    """Keys of the vectors of single sequences.

    Args:
        sequences: ASCII text, upper case.
        fingerprint: The encoder's.

    Returns:
        One hex SHA-256 a sequence, named `key`.
    """
    return _hashed(f"sequence|{fingerprint}|", sequences)


def _hashed(prefix: str, texts: Iterable[str]) -> pl.Series:
    digests = [hashlib.sha256((prefix + text).encode("ascii")).hexdigest() for text in texts]
    return pl.Series("key", digests, dtype=pl.String)
