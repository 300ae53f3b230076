from __future__ import annotations

import pytest

from glm_assets.demo.changes import Change
from glm_assets.demo.codes import MITOCHONDRIAL_CODE, STANDARD_CODE
from glm_assets.demo.consequences import SEQUENCE_ONTOLOGY, consequence_of, plain_effect
from glm_assets.demo.genes import Gene

#         0         1         2         3
#         0123456789012345678901234567890123456
CONTIG = "CCATGTACGCTGTAAGTCATTTTCTTAGTGGGACTAACC"
#           M  Y  A |intron         |W  D  *        exons 2-11 and 28-37
EXONS = ((2, 11), (28, 37))
FORWARD = Gene("G", 1, reverse=False, exons=EXONS, code=STANDARD_CODE)

_COMPLEMENT = str.maketrans("ACGT", "TGCA")
MIRROR = CONTIG.translate(_COMPLEMENT)[::-1]
REVERSE = Gene(
    "G", 1, reverse=True, exons=tuple((39 - end, 39 - start) for start, end in reversed(EXONS)), code=STANDARD_CODE
)

CASES = [
    (Change(7, "C", "A"), "nonsense"),  # TAC to TAA
    (Change(7, "C", "T"), "synonymous_variant"),
    (Change(6, "A", "G"), "missense_variant"),
    (Change(10, "T", "C"), "synonymous_variant"),
    (Change(2, "A", "G"), "initiator_codon_variant"),
    (Change(34, "T", "C"), "stop_lost"),
    (Change(30, "G", "A"), "nonsense"),  # TGG to TGA
    (Change(11, "G", "A"), "splice_donor_variant"),
    (Change(12, "T", "C"), "splice_donor_variant"),
    (Change(13, "A", "C"), "intron_variant"),
    (Change(25, "T", "C"), "intron_variant"),
    (Change(26, "A", "C"), "splice_acceptor_variant"),
    (Change(27, "G", "C"), "splice_acceptor_variant"),
    (Change(4, "GT", "G"), "frameshift_variant"),
    (Change(4, "G", "GA"), "frameshift_variant"),
    (Change(4, "GTAC", "G"), "inframe_deletion"),
    (Change(4, "G", "GCCC"), "inframe_insertion"),
    (Change(4, "G", "GTAA"), "nonsense"),
    (Change(7, "CG", "AA"), "nonsense"),
    (Change(10, "TGT", "T"), "splice_donor_variant"),
    (Change(0, "C", "A"), None),
    (Change(10, "T", "TAA"), None),  # at the border of exon and intron
]


def _mirrored(change: Change) -> Change:
    """The same change of the other strand; an anchor base is given up and a new one taken."""
    plain = change.without_anchor()
    start = len(CONTIG) - plain.start - len(plain.ref)
    ref, alt = (bases.translate(_COMPLEMENT)[::-1] for bases in (plain.ref, plain.alt))
    if plain is change:
        return Change(start, ref, alt)
    before = MIRROR[start - 1]
    return Change(start - 1, before + ref, before + alt)


@pytest.mark.parametrize(("change", "expected"), CASES)
def test_consequences_on_the_forward_strand(change, expected):
    assert CONTIG[change.start :].startswith(change.ref)
    assert consequence_of(change, FORWARD, CONTIG) == expected


@pytest.mark.parametrize(("change", "expected"), CASES)
def test_consequences_on_the_reverse_strand(change, expected):
    mirrored = _mirrored(change)
    assert MIRROR[mirrored.start :].startswith(mirrored.ref)
    assert consequence_of(mirrored, REVERSE, MIRROR) == expected


def test_the_mitochondrial_code_reads_tga_as_tryptophan():
    gene = Gene("G", 1, reverse=False, exons=EXONS, code=MITOCHONDRIAL_CODE)
    assert consequence_of(Change(30, "G", "A"), gene, CONTIG) == "synonymous_variant"


def test_every_term_has_a_sequence_ontology_id():
    assert {expected for _, expected in CASES if expected} <= set(SEQUENCE_ONTOLOGY)


LONG_INTRON = Gene("G", 1, reverse=False, exons=((3, 9), (59, 65)), code=STANDARD_CODE)
LONG_CONTIG = "CCC" + "ATGGCT" + "GTAAGT" + "ACGT" * 10 + "ACAG" + "GATTAA" + "CCC"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Change(9, "G", "A"), ("splice_donor_variant", 1)),
        (Change(8, "T", "C"), ("synonymous_variant", 0)),
        (Change(7, "C", "A"), None),  # missense
        (Change(28, "T", "A"), None),  # 19 bases from the exon
        (Change(29, "G", "A"), ("intron_variant", 0)),
        (Change(38, "A", "G"), ("intron_variant", 0)),
        (Change(39, "C", "A"), None),
        (Change(37, "TAC", "T"), None),
    ],
)
def test_only_plain_effects_are_labelled(change, expected):
    effect = plain_effect(change, LONG_INTRON, LONG_CONTIG)
    assert (effect and (effect.consequence, effect.label)) == expected
