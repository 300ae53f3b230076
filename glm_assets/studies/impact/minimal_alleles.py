"""The shortest writing of an allele, so that split multi-allelic records meet records of single alleles.

`CAT>CGT` is the substitution `A>G` one base later. Bases that REF and ALT share at the end are cut first, then those at
the start; one base of each stays. Indels are not moved: both files have them as far left as they go, as VCF asks.
"""

from __future__ import annotations

import polars as pl


def minimal_allele(pos: int, ref: str, alt: str) -> tuple[int, str, str]:
    """Cut what REF and ALT share.

    Args:
        pos: 1-based position of the first base of `ref`.
        ref: Reference allele.
        alt: Alternate allele.
    """
    while len(ref) > 1 and len(alt) > 1 and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    shared = 0
    while shared < min(len(ref), len(alt)) - 1 and ref[shared] == alt[shared]:
        shared += 1
    return pos + shared, ref[shared:], alt[shared:]


def with_minimal_alleles(frame: pl.DataFrame) -> pl.DataFrame:
    """Add `minimal_pos`, `minimal_ref` and `minimal_alt` to rows with `pos`, `ref` and `alt`."""
    cut = [minimal_allele(*row) for row in frame.select("pos", "ref", "alt").iter_rows()]
    schema = {"minimal_pos": pl.Int64, "minimal_ref": pl.String, "minimal_alt": pl.String}
    return frame.hstack(pl.DataFrame(cut, schema, orient="row"))
