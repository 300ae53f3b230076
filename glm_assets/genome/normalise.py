"""Reads as they are published, brought to upper-case DNA: lower case, RNA's U and IUPAC codes, each change counted.

A tokenizer of DNA would make unknown tokens of them without a word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from glm_assets.errors import FormatError

Ambiguous = Literal["to_n", "refuse"]
"""What becomes of the IUPAC codes for several bases: N, or an error."""

_LOWER = "[a-z]"
_URACIL = "[uU]"
_CODES = "[RYKMSWBDHVrykmswbdhv]"
_OTHER = "[^ACGTUNRYKMSWBDHVacgtunrykmswbdhv]"


@dataclass(frozen=True)
class Normalised:
    """Sequences of A, C, G, T and N, and what was changed.

    Attributes:
        sequences: In the order given; null stays null.
        bases: All characters.
        lower: Letters that were in lower case.
        uracil: U that became T.
        ambiguous: IUPAC codes for several bases that became N.
        unknown: N that were N before.
    """

    sequences: pl.Series
    bases: int
    lower: int
    uracil: int
    ambiguous: int
    unknown: int


def normalise(sequences: pl.Series, ambiguous: Ambiguous = "to_n") -> Normalised:
    """Bring DNA or RNA to upper-case DNA.

    Args:
        sequences: Strings.
        ambiguous: What becomes of the IUPAC codes R, Y, K, M, S, W, B, D, H and V.

    Raises:
        FormatError: A sequence has a character that stands for no base, or an IUPAC code where they are refused;
            the message names the first such row and character.
    """
    _refuse(sequences, _OTHER, "A, C, G, T, U, N and IUPAC codes, without gaps")
    if ambiguous == "refuse":
        _refuse(sequences, _CODES, "A, C, G, T, U and N")
    text = sequences.str
    changed = text.to_uppercase().str.replace_all("U", "T", literal=True).str.replace_all(_CODES, "N")
    return Normalised(
        changed,
        bases=int(text.len_bytes().sum()),
        lower=int(text.count_matches(_LOWER).sum()),
        uracil=int(text.count_matches(_URACIL).sum()),
        ambiguous=int(text.count_matches(_CODES).sum()),
        unknown=int(text.count_matches("[nN]").sum()),
    )


def _refuse(sequences: pl.Series, symbols: str, expected: str) -> None:
    found = sequences.str.extract(f"({symbols})")
    rows = found.is_not_null().arg_true()
    if len(rows):
        row = int(rows[0])
        raise FormatError(
            f"row {row} has the character {found[row]!r}, and {len(rows)} rows in all have such",
            expected=f"sequences of {expected}",
            fix="leave these rows out, or mend them where they come from",
        )
