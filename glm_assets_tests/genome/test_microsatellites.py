"""Microsatellites against a regular expression, and planted ones."""

from __future__ import annotations

import re
import tracemalloc

import numpy as np
import pytest

from glm_assets.genome.microsatellites import microsatellites

LEAST = {2: 6, 3: 5, 4: 5, 5: 5, 6: 5}


def bases(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("ascii"), np.uint8)


def by_expression(text: str) -> set[tuple[int, int]]:
    """Period and end of every repeat, by brute force: end and not start, as a partial copy may come first."""
    found = set()
    for period, copies in LEAST.items():
        for start in range(len(text) - period * copies + 1):
            match = re.match(rf"([ACGT]{{{period}}})\1{{{copies - 1},}}", text[start:])
            if not match or re.fullmatch(r"(.+?)\1+", match[1]):
                continue
            end = start + match.end()
            while end < len(text) and text[end] == text[end - period] and text[end] in "ACGT":
                end += 1
            found.add((period, end))
    return found


def test_a_planted_repeat_is_found_once_with_its_copies_and_place():
    (row,) = microsatellites(bases("GGC" + "AT" * 10 + "GCC"), LEAST).to_dicts()
    assert row == {"start": 3, "end": 23, "period": 2, "copies": 10, "motif": "AT"}


@pytest.mark.parametrize(
    ("text", "motif"),
    [("GT" * 8, "AC"), ("CA" * 8, "AC"), ("ctt" * 5, "AAG"), ("TTTA" * 6, "AAAT")],
)
def test_rotations_strands_and_case_are_one_motif(text, motif):
    assert microsatellites(bases(text), LEAST)["motif"].to_list() == [motif]


@pytest.mark.parametrize("text", ["A" * 40, "N" * 40, "AT" * 5, "AT" * 3 + "N" + "AT" * 3, "", "ACG"])
def test_what_is_none(text):
    assert microsatellites(bases(text), LEAST).is_empty()


def test_against_a_regular_expression_on_repetitive_sequence():
    rng = np.random.default_rng(3)
    for _ in range(20):
        pieces = []
        for _ in range(12):
            motif = "".join(rng.choice(list("ACGT"), rng.integers(1, 7)))
            pieces.append(motif * int(rng.integers(1, 9)) + "".join(rng.choice(list("ACGTN"), 3)))
        text = "".join(pieces)
        found = microsatellites(bases(text), LEAST)
        assert set(found.select("period", "end").iter_rows()) == by_expression(text)


def test_a_chromosome_takes_a_few_bytes_a_base():
    chromosome = np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), 1_000_000)
    tracemalloc.start()
    microsatellites(chromosome, LEAST)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * len(chromosome)
