from __future__ import annotations

import pytest

from glm_assets.demo.changes import Change, deletion, hgvs, insertion, substitutions, variant_class

#         0123456789012345
CONTIG = "GACTTTTACACACGGA"


def test_substitutions_are_the_three_other_bases():
    assert substitutions(CONTIG, 2) == [Change(2, "C", alt) for alt in "AGT"]


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (1, 1, Change(0, "GA", "G")),
        (6, 1, Change(2, "CT", "C")),  # one T of four
        (10, 2, Change(6, "TAC", "T")),  # one AC of three
        (13, 2, Change(12, "CGG", "C")),
    ],
)
def test_deletions_move_left_and_take_the_base_before_them(start, length, expected):
    assert deletion(CONTIG, start, length) == expected
    assert expected.applied_to(CONTIG) == CONTIG[:start] + CONTIG[start + length :]


@pytest.mark.parametrize(
    ("start", "bases", "expected"),
    [
        (7, "T", Change(2, "C", "CT")),
        (13, "AC", Change(6, "T", "TAC")),
        (13, "TT", Change(12, "C", "CTT")),
        (15, "AG", Change(13, "G", "GGA")),
    ],
)
def test_insertions_move_left_and_take_the_base_before_them(start, bases, expected):
    assert insertion(CONTIG, start, bases) == expected
    assert expected.applied_to(CONTIG) == CONTIG[:start] + bases + CONTIG[start:]


@pytest.mark.parametrize(
    ("change", "name", "kind"),
    [
        (Change(2, "C", "A"), "3C>A", "single_nucleotide_variant"),
        (Change(2, "C", "."), "3%3D", "single_nucleotide_variant"),
        (Change(2, "C", "R"), "3C>R", "single_nucleotide_variant"),
        (Change(2, "C", "A,G"), "3C>A", "single_nucleotide_variant"),
        (Change(2, "CT", "C"), "7del", "Deletion"),
        (Change(6, "TAC", "T"), "12_13del", "Deletion"),
        (Change(2, "C", "CT"), "7dup", "Duplication"),
        (Change(6, "T", "TAC"), "12_13dup", "Duplication"),
        (Change(12, "C", "CTT"), "13_14insTT", "Insertion"),
        (Change(2, "CT", "GA"), "3_4delinsGA", "Indel"),
        (Change(2, "CTT", "G"), "3_5delinsG", "Indel"),
    ],
)
def test_names_follow_hgvs_and_clinvar(change, name, kind):
    """Insertions and deletions are named at their rightmost place, as ClinVar does."""
    assert hgvs(change, "NC_000021.9", CONTIG) == f"NC_000021.9:g.{name}"
    assert hgvs(change, "NC_012920.1", CONTIG) == f"NC_012920.1:m.{name}"
    assert variant_class(change, CONTIG)[0] == kind
