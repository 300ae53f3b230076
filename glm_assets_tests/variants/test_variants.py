import polars as pl
import pytest

from glm_assets.errors import MissingUpstreamError
from glm_assets.storage.schemas import CLINVAR_VARIANTS
from glm_assets.variants.labels import FAITHFUL, LabelPolicy
from glm_assets.variants.variants import build_variants

from .records import write_records

ROWS = [
    {"pos": 10, "ref": "A", "alt": "C"},
    {"pos": 20, "ref": "A", "alt": "C,ACG", "clnsig": "Benign", "clnrevstat": "practice_guideline"},
    {"pos": 30, "ref": "A", "alt": "."},
    {"pos": 40, "ref": "N", "alt": "C"},
    {"pos": 50, "ref": "A", "alt": "<DEL>"},
    {"pos": 60, "ref": "AT", "alt": "GC"},
    {"pos": 70, "ref": "A", "alt": "A" * 60},
    {"pos": 80, "ref": "A", "alt": "C", "clnsig": "Uncertain_significance"},
    {"pos": 90, "ref": "A", "alt": "C", "clnsig": "Pathogenic|novel_word"},
    {"pos": 95, "ref": "A", "alt": "C", "clnrevstat": "no_assertion_criteria_provided"},
    {"pos": 99, "ref": "A", "alt": "C", "clnsig": None, "mc": None, "gene": None},
    {"chrom": "X", "pos": 10, "ref": "A", "alt": "C"},
]


@pytest.mark.parametrize(
    ("policy", "kept", "label_reasons"),
    [
        (FAITHFUL, 5, {"excluded_term": 1, "no_significance": 1}),
        (
            LabelPolicy("strict", min_stars=1),
            3,
            {"no_significance": 1, "review_status": 1, "uncertain_significance": 1, "unknown_term": 1},
        ),
    ],
)
def test_counts_add_up_to_the_chromosomes_rows(tmp_path, policy, kept, label_reasons):
    variants, counts = build_variants(write_records(tmp_path, ROWS), "13", policy=policy)
    allele_reasons = {"equal_length": 1, "no_alt": 1, "not_acgt_alt": 1, "not_acgt_ref": 1, "over_indel_max": 1}
    assert (counts.records, counts.rows, counts.kept) == (11, 12, kept)
    assert counts.dropped == allele_reasons | label_reasons
    assert counts.rows == variants.height == counts.kept + sum(counts.dropped.values())


def test_the_table_obeys_its_schema_and_row_rules(tmp_path):
    variants, _ = build_variants(write_records(tmp_path, ROWS), "13", policy=FAITHFUL)
    CLINVAR_VARIANTS.check(variants)
    assert variants["chrom"].unique().to_list() == ["13"]
    assert variants["pos"].to_list() == [10, 20, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99]
    kept, dropped = variants.filter("keep"), variants.filter(~pl.col("keep"))
    assert kept.select("label", "kind", "var_len").null_count().sum_horizontal().item() == 0
    assert kept["drop_reason"].null_count() == kept.height
    assert dropped["label"].null_count() == dropped.height
    assert dropped["drop_reason"].null_count() == 0


def test_the_first_rule_that_fails_names_the_reason(tmp_path):
    rows = [{"pos": 1, "ref": "A", "alt": "N", "clnsig": "Uncertain_significance"}]
    variants, _ = build_variants(write_records(tmp_path, rows), "13", policy=FAITHFUL)
    assert variants["drop_reason"].to_list() == ["not_acgt_alt"]


def test_alts_of_one_record_share_its_fields(tmp_path):
    variants, _ = build_variants(write_records(tmp_path, ROWS), "13", policy=LabelPolicy("strict", min_stars=4))
    pair = variants.filter(pl.col("pos") == 20)
    assert pair.select("variation_id", "alt", "kind", "var_len", "label", "review_stars").rows() == [
        (1001, "C", "snv", 1, 0, 4),
        (1001, "ACG", "ins", 2, 0, 4),
    ]


@pytest.mark.parametrize(
    ("mc", "consequence"),
    [
        ("SO:0001583|missense_variant", "missense_variant"),
        ("SO:0001587|nonsense,SO:0001583|missense_variant", "nonsense"),
        ("SO:0001623|5_prime_UTR_variant,SO:0001619|non-coding_transcript_variant", "5_prime_UTR_variant"),
        (None, None),
    ],
)
def test_the_consequence_is_the_first_term_of_mc(tmp_path, mc, consequence):
    records = write_records(tmp_path, [{"pos": 1, "ref": "A", "alt": "C", "mc": mc}])
    variants, _ = build_variants(records, "13", policy=FAITHFUL)
    assert variants.select("mc", "consequence").row(0) == (mc, consequence)


def test_unknown_words_come_from_the_chromosome_only(tmp_path):
    rows = [
        {"pos": 1, "ref": "A", "alt": "C", "clnsig": "Pathogenic|novel_word"},
        {"pos": 2, "ref": "A", "alt": "N", "clnrevstat": "novel_status"},
        {"pos": 3, "ref": "A", "alt": "C", "chrom": "X", "clnsig": "elsewhere"},
    ]
    _, counts = build_variants(write_records(tmp_path, rows), "13", policy=FAITHFUL)
    assert counts.unknown_words == {"CLNREVSTAT=novel_status": 1, "CLNSIG=novel_word": 1}


def test_a_chromosome_without_records_is_an_error_that_names_the_others(tmp_path):
    with pytest.raises(MissingUpstreamError, match=r"no record on chromosome 5.*13, X"):
        build_variants(write_records(tmp_path, ROWS), "5", policy=FAITHFUL)


def test_a_folders_name_is_no_pattern(tmp_path):
    folder = tmp_path / "[a]*?"
    folder.mkdir()
    records = write_records(folder, ROWS)
    assert build_variants(records, "X", policy=FAITHFUL)[1].kept == 1
    with pytest.raises(MissingUpstreamError, match="one of 13, X"):
        build_variants(records, "7", policy=FAITHFUL)
