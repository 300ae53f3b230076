"""Pairs looked up among labelled windows: shifted, swapped, near the ends, repeated and contradictory ones."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from glm_assets.submission.clinvar import FLANK, match_pairs
from glm_assets.submission.pairs import find_structure

RNG = np.random.default_rng(11)
GENOME = "".join(RNG.choice(list("ACGT"), 4000))
OTHER = {"A": "C", "C": "G", "G": "T", "T": "A"}


def variant_window(start: int, length: int, pos: int) -> tuple[str, str]:
    """Reference and variant window of an SNV at a place of the genome."""
    ref = GENOME[start : start + length]
    at = pos - start
    return ref, ref[:at] + OTHER[ref[at]] + ref[at + 1 :]


def clinvar(*rows: dict) -> pl.DataFrame:
    """Rows of `variant_windows` of 256 bases; each says `pos` and what differs from a pathogenic train row."""
    made = []
    for row in rows:
        pos = row["pos"]
        start = row.get("start", pos - 128)
        base = GENOME[pos]
        made.append(
            {
                "kind": row.get("kind", "snv"),
                "ref": base,
                "alt": row.get("alt", OTHER[base]),
                "label": row.get("label", 1),
                "split": row.get("split", "train"),
                "variant_offset": pos - start,
                "ref_seq": GENOME[start : start + 256],
            }
        )
    return pl.DataFrame(made, schema_overrides={"label": pl.Int8, "variant_offset": pl.Int16})


def look_up(sequences: list[str], *windows: pl.DataFrame) -> dict:
    column = pl.Series("seq", sequences)
    structure = find_structure(column)
    return match_pairs(structure.pairs, column, windows).row(0, named=True)


def test_a_pair_is_found_wherever_its_window_lies_and_however_long_it_is():
    for start, length in ((1000, 1024), (1300, 300), (1468, 65)):
        found = look_up([*variant_window(start, length, 1500)], clinvar({"pos": 1500, "label": 0, "split": "val"}))
        assert found == {"label": 0, "split": "val", "swapped": False, "found": 1}


def test_either_sequence_may_be_the_reference():
    ref, var = variant_window(1300, 400, 1500)
    assert look_up([var, ref], clinvar({"pos": 1500}))["swapped"] is True


def test_a_variant_nearer_to_an_end_than_the_flank_is_not_looked_up():
    near = [*variant_window(1500 - FLANK + 1, 300, 1500)]
    assert look_up(near, clinvar({"pos": 1500})) == {"label": None, "split": None, "swapped": None, "found": 0}
    assert look_up([*variant_window(1500 - FLANK, 300, 1500)], clinvar({"pos": 1500}))["found"] == 1


@pytest.mark.parametrize("row", [{"pos": 1501}, {"pos": 1500, "kind": "del"}, {"pos": 1500, "alt": GENOME[1500]}])
def test_another_variant_is_not_taken_for_it(row):
    assert look_up([*variant_window(1300, 400, 1500)], clinvar(row))["found"] == 0


def test_of_several_rows_the_most_exposed_split_counts_and_their_labels_must_agree():
    sequences = [*variant_window(1300, 400, 1500)]
    agreeing = look_up(sequences, clinvar({"pos": 1500, "split": "test"}), clinvar({"pos": 1500, "split": "val"}))
    assert agreeing == {"label": 1, "split": "val", "swapped": False, "found": 2}
    quarrel = look_up(sequences, clinvar({"pos": 1500, "label": 1}, {"pos": 1500, "label": 0}))
    assert quarrel == {"label": None, "split": "train", "swapped": False, "found": 2}


def test_the_order_is_that_of_the_pairs():
    sequences = [sequence for pos in (900, 1500, 2100) for sequence in variant_window(pos - 100, 300, pos)]
    column = pl.Series("seq", sequences)
    windows = clinvar({"pos": 2100, "label": 0}, {"pos": 900, "label": 1})
    found = match_pairs(find_structure(column).pairs, column, [windows])
    assert found["label"].to_list() == [1, None, 0]


def test_without_windows_or_pairs_nothing_is_found():
    assert look_up([*variant_window(1300, 400, 1500)])["found"] == 0
    column = pl.Series("seq", [GENOME[:100]])
    assert match_pairs(find_structure(column).pairs, column, [clinvar({"pos": 1500})]).is_empty()
