"""Every reason why a user's allele has no score, and the windows of those that have one."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
import pytest

from glm_assets.genome.windows import WindowRecipe
from glm_assets.variants.user_vcf import ALLELES
from glm_assets.variants.user_windows import REASONS, blocks, scorable_windows, screen, user_alleles

RECIPE = WindowRecipe(length=8, anchor=4)
CONTIG = "ACGTTGCAAGNCCGTATTACGGATC"


class Genome:
    """Holds chromosome 1 and a scaffold."""

    def has(self, chrom: str) -> bool:
        return chrom in ("1", "scaffold_7")


def judged(*records: tuple[str, int, str, str], both_strands: bool = False) -> pl.DataFrame:
    rows = [(number, *record) for number, record in enumerate(records)]
    frame = pl.DataFrame(rows, ALLELES, orient="row")
    rows = user_alleles(frame, Genome(), indel_max=3).with_row_index("row")  # pyright: ignore[reportArgumentType]
    contig = np.frombuffer(CONTIG.encode(), np.uint8)
    reasons = rows["reason"]
    for block in blocks(rows, RECIPE):
        reasons = reasons.scatter(block["row"], screen(block, contig, RECIPE, both_strands=both_strands)[0])
    return rows.with_columns(reasons)


@pytest.mark.parametrize(
    ("record", "reasons"),
    [
        (("chr1", 3, "G", "A"), [None]),
        (("NC_000001.11", 3, "g", "a"), [None]),
        (("scaffold_7", 3, "G", "A"), [None]),
        (("1", 3, "GT", "CA"), [None]),
        (("1", 3, "G", "GACA"), [None]),
        (("1", 3, "G", "."), ["no_alt"]),
        (("1", 3, "G", "A,<DEL>,*,G,GACAT,R,N"),
         [None, *["symbolic_alt"] * 2, "same_allele", "over_indel_max", *["not_acgt_alt"] * 2]),
        (("1", 3, "G", "G[2:5[,]2:5]G,.A,A."), ["symbolic_alt"] * 4),
        (("1", 3, "K", "A"), ["not_acgt_ref"]),
        (("GL000220.1", 3, "G", "A"), ["unknown_contig"]),
        (("chr2", 3, "G", "A"), ["not_in_reference"]),
        (("1", 0, "G", "A"), ["window_outside_contig"]),
        (("1", 24, "T", "A"), ["window_outside_contig"]),
        (("1", 2_000_000_000, "T", "A"), ["window_outside_contig"]),
        (("1", 14, "GTATTA", "GTAT"), ["ref_longer_than_window"]),
        (("1", 3, "T", "A"), ["ref_mismatch"]),
        (("1", 9, "A", "C"), ["window_with_n"]),
        (("1", 20, "CG", "C"), [None]),
        (("1", 21, "GGA", "G"), ["window_with_n"]),
    ],
)  # fmt: skip
def test_an_allele_keeps_its_place_and_says_why_it_has_no_score(record, reasons):
    rows = judged(record)
    assert rows["reason"].to_list() == reasons
    assert rows["alt_index"].to_list() == list(range(len(reasons)))
    assert set(rows["reason"].drop_nulls()) <= REASONS.keys()


def test_windows_are_those_of_the_study(tmp_path):
    rows = judged(("chr1", 18, "T", "TAC"), ("1", 3, "GT", "CA"), ("1", 18, "T", "A"))
    [block] = blocks(rows, RECIPE)
    assert block["pos"].to_list() == [3, 18, 18]
    windows = scorable_windows(block, np.frombuffer(CONTIG.encode(), np.uint8), RECIPE)
    assert windows.select("ref_seq", "var_seq", "variant_offset").rows() == [
        ("ACGTTGCA", "ACCATGCA", 2),
        ("GTATTACG", "GTATTACA", 4),
        ("GTATTACG", "GTATAACG", 4),
    ]
    assert windows["var_digest"][1] == hashlib.sha256(b"GTATTACA").hexdigest()[:32]


def test_refs_are_compared_in_known_sequence_only():
    rows = judged(("1", 3, "T", "A"), ("1", 9, "A", "C"), ("1", 3, "G", "C"), ("1", 9, "C", "A"))
    contig = np.frombuffer(CONTIG.encode(), np.uint8)
    usable = rows.with_columns(pl.lit(None, pl.String).alias("reason"))
    [block] = blocks(usable, RECIPE)
    found, compared = screen(block, contig, RECIPE, both_strands=True)
    by_row = dict(zip(block["row"].to_list(), zip(found.to_list(), compared.tolist(), strict=True), strict=True))
    assert by_row == {
        0: ("ref_mismatch", True),
        1: ("window_with_n", False),
        2: (None, True),
        3: ("ref_mismatch", False),
    }


@pytest.mark.parametrize(
    ("record", "drawn"),
    [
        # Windows of 8 with the variant at 4; the contig's N is base 11, so that the window of 16 begins just after it.
        (("1", 16, "ATT", "A"), True),
        (("1", 17, "TTA", "T"), True),
        (("1", 17, "TT", "T"), False),
        (("1", 18, "TAC", "T"), False),
        (("1", 16, "A", "ACC"), False),
        (("1", 16, "A", "C"), False),
        # Before the contig's first base there is nothing; a clamped window draws on it too.
        (("1", 5, "TG", "T"), True),
        (("1", 2, "CG", "C"), True),
        (("1", 2, "C", "CG"), False),
    ],
)
def test_a_deletion_that_draws_unknown_sequence_into_the_other_strand_has_no_score(record, drawn):
    assert judged(record)["reason"].to_list() == [None]
    [found] = judged(record, both_strands=True)["reason"]
    assert found == ("reverse_window_with_n" if drawn else None)
    assert "reverse_window_with_n" in REASONS


def test_the_other_strand_changes_no_other_reason():
    records = [
        ("1", 3, "T", "A"),
        ("1", 9, "A", "C"),
        ("1", 5, "TG", "T"),
        ("1", 0, "G", "A"),
        ("1", 18, "T", "A"),
    ]
    one, both = (judged(*records, both_strands=strands)["reason"].to_list() for strands in (False, True))
    assert one == ["ref_mismatch", "window_with_n", None, "window_outside_contig", None]
    assert both == [*one[:2], "reverse_window_with_n", *one[3:]]
    assert judged(records[0], both_strands=True)["reason"].to_list() == ["ref_mismatch"]
