import polars as pl
import pytest

from glm_assets.variants.alleles import explode_alts, filter_alleles


def judge(ref: str, alt: str, indel_max: int = 50) -> tuple:
    rows = filter_alleles(pl.DataFrame({"ref": [ref], "alt": [alt]}), indel_max)
    return rows.select("kind", "var_len", "drop_reason").row(0)


@pytest.mark.parametrize(
    ("ref", "alt", "expected"),
    [
        ("A", "C", ("snv", 1, None)),
        ("A", "AC", ("ins", 1, None)),
        ("AC", "A", ("del", 1, None)),
        ("A", "A" * 51, ("ins", 50, None)),
        ("A", "A" * 52, (None, None, "over_indel_max")),
        ("A" * 51, "A", ("del", 50, None)),
        ("A" * 52, "A", (None, None, "over_indel_max")),
        ("A" * 120, "A" * 100, ("del", 20, None)),  # the limit is on the difference
        ("A" * 40_000, "A", (None, None, "over_indel_max")),
        ("AC", "GT", (None, None, "equal_length")),
        ("AC", "AC", (None, None, "same_allele")),
        ("A", "A", (None, None, "same_allele")),
        ("N", "A", (None, None, "not_acgt_ref")),
        ("R", "<DEL>", (None, None, "not_acgt_ref")),
        ("A", "N", (None, None, "not_acgt_alt")),
        ("A", "<DEL>", (None, None, "not_acgt_alt")),
        ("A", "*", (None, None, "not_acgt_alt")),
        ("A", "", (None, None, "not_acgt_alt")),
        ("N", ".", (None, None, "no_alt")),
    ],
)
def test_first_rule_that_an_allele_breaks(ref, alt, expected):
    assert judge(ref, alt) == expected


def test_the_indel_limit_is_a_parameter():
    assert judge("A", "ACGT", indel_max=3) == ("ins", 3, None)
    assert judge("A", "ACGT", indel_max=2) == (None, None, "over_indel_max")


def test_every_alt_gets_a_row_and_a_record_without_alt_keeps_one():
    records = pl.DataFrame({"record": [0, 1, 2, 3], "ref": ["a", "C", "G", "T"], "alt": ["c,G", ".", "t", None]})
    rows = explode_alts(records)
    assert rows.select("record", "ref", "alt", "alt_index").rows() == [
        (0, "A", "C", 0),
        (0, "A", "G", 1),
        (1, "C", ".", 0),
        (2, "G", "T", 0),
        (3, "T", ".", 0),
    ]
