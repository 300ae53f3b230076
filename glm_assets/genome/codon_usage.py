"""Codon usage: how often each codon stands for its amino acid, beside its synonyms.

The relative synonymous codon usage (P. M. Sharp, T. M. F. Tuohy, K. R. Mosurski, Nucleic Acids Research 14:5125, 1986)
of a codon is its count over the mean count of the codons of the same amino acid: 1 without any preference.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.genome.alphabet import UNKNOWN_ID, encode_ids, upper

STOP: Final = "*"

_AMINO_ACIDS: Final = "KNKNTTTTRSRSIIMIQHQHPPPPRRRRLLLLEDEDAAAAGGGGVVVV*Y*YSSSS*CWCLFLF"
# The standard code (NCBI's table 1), codons in alphabetical order: A, C, G, T.

CODONS: Final = tuple(first + second + third for first in "ACGT" for second in "ACGT" for third in "ACGT")
"""All codons in alphabetical order."""


def codon_counts(coding: Iterable[NDArray[np.uint8]]) -> tuple[NDArray[np.int64], int]:
    """Count the codons of coding sequences.

    Args:
        coding: ASCII of either case, each from its first whole codon on, in the direction of its gene.

    Returns:
        (64,) counts in the order of `CODONS`, and how many codons were left out: those with an unknown base, and
        those that a sequence's end cuts.
    """
    counts, left_out = np.zeros(64, np.int64), 0
    for sequence in coding:
        whole = len(sequence) // 3 * 3
        left_out += whole < len(sequence)
        ids = encode_ids(upper(sequence[:whole])).reshape(-1, 3)
        known = (ids != UNKNOWN_ID).all(axis=1)
        left_out += int((~known).sum())
        codes = ids[known].astype(np.int64) @ np.array([16, 4, 1])
        counts += np.bincount(codes, minlength=64)
    return counts, left_out


def relative_usage(counts: NDArray[np.int64]) -> pl.DataFrame:
    """Relative synonymous codon usage.

    Args:
        counts: (64,) in the order of `CODONS`.

    Returns:
        A row per codon: `codon`, `amino_acid` (`*` for a stop), `count`, and `rscu`, null where none of the amino
        acid's codons was seen.
    """
    frame = pl.DataFrame({"codon": CODONS, "amino_acid": list(_AMINO_ACIDS), "count": counts})
    mean = pl.col("count").mean().over("amino_acid")
    return frame.with_columns(rscu=pl.when(mean > 0).then(pl.col("count") / mean))
