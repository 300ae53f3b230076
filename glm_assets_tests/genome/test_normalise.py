"""Reads of any case, RNA and IUPAC codes, against a plain loop over their characters."""

from __future__ import annotations

import random
import re

import polars as pl
import pytest

from glm_assets.errors import FormatError
from glm_assets.genome.normalise import normalise

CODES = "RYKMSWBDHV"


def test_every_letter_becomes_what_a_loop_over_characters_makes_of_it():
    source = random.Random(0)
    letters = "ACGTUN" + CODES
    reads = ["".join(source.choices(letters + letters.lower(), k=source.randint(0, 60))) for _ in range(200)]
    table = {letter: letter for letter in "ACGTN"} | {"U": "T"} | dict.fromkeys(CODES, "N")
    found = normalise(pl.Series(reads))
    assert found.sequences.to_list() == ["".join(table[letter.upper()] for letter in read) for read in reads]
    text = "".join(reads)
    assert found.bases == len(text)
    assert found.lower == sum(letter.islower() for letter in text)
    assert found.uracil == sum(letter in "uU" for letter in text)
    assert found.ambiguous == sum(letter.upper() in CODES for letter in text)
    assert found.unknown == sum(letter in "nN" for letter in text)


def test_clean_dna_is_left_as_it_is_and_nothing_counted():
    found = normalise(pl.Series(["ACGT", None, ""]), ambiguous="refuse")
    assert found.sequences.to_list() == ["ACGT", None, ""]
    assert (found.bases, found.lower, found.uracil, found.ambiguous, found.unknown) == (4, 0, 0, 0, 0)
    assert normalise(pl.Series([], dtype=pl.String)).bases == 0


@pytest.mark.parametrize("symbol", ["-", "*", " ", "X", "1", "é"])
def test_what_is_no_base_is_refused_by_row_and_character(symbol):
    with pytest.raises(FormatError, match=rf"row 1 has the character '{re.escape(symbol)}', and 2 rows in all"):
        normalise(pl.Series(["ACGT", f"ac{symbol}Z", f"{symbol}"]))


def test_iupac_codes_can_be_refused():
    reads = pl.Series(["ACGN", "ACr"])
    with pytest.raises(FormatError, match="row 1 has the character 'r'"):
        normalise(reads, ambiguous="refuse")
    assert normalise(reads).sequences.to_list() == ["ACGN", "ACN"]
