import polars as pl
import pytest

from glm_assets.errors import SettingsError
from glm_assets.variants.labels import FAITHFUL, LabelPolicy, add_labels, count_unknown_words
from glm_assets.variants.vocabulary import review_stars, significance_terms

STRICT = LabelPolicy("strict", min_stars=1)
ONE_STAR = "criteria_provided,_single_submitter"
TWO_STARS = "criteria_provided,_multiple_submitters,_no_conflicts"

# The original pipeline's behaviour, established with a VCF reader on a small file; None = discarded.
FAITHFUL_TABLE = [
    ("Pathogenic", ONE_STAR, 1),
    ("Pathogenic", "no_assertion_criteria_provided", 1),
    ("Pathogenic", "no_classification_provided", None),
    ("Pathogenic", "no_classifications_from_unflagged_records", None),
    ("Pathogenic", "no_assertion_provided", None),
    ("Affects|Pathogenic", "no_assertion_provided", None),
    ("Affects|Pathogenic", ONE_STAR, 1),
    ("Pathogenic/Likely_pathogenic/Pathogenic,_low_penetrance|other", TWO_STARS, 1),
    ("Likely_pathogenic,_low_penetrance", "reviewed_by_expert_panel", 1),
    ("Benign|confers_sensitivity", "practice_guideline", 0),
    ("Pathogenic|risk_factor", ONE_STAR, None),
    ("Pathogenic|risk_factor", "practice_guideline", None),
    ("Benign/Likely_benign|drug_response|other", TWO_STARS, None),
    ("Conflicting_classifications_of_pathogenicity", "criteria_provided,_conflicting_classifications", None),
    (
        "Conflicting_classifications_of_pathogenicity|Pathogenic",
        "criteria_provided,_conflicting_classifications",
        1,
    ),
    (
        "Conflicting_interpretations_of_pathogenicity|Pathogenic",
        "criteria_provided,_conflicting_interpretations",
        None,
    ),
    ("Established_risk_allele", ONE_STAR, None),
    ("Likely_benign", ONE_STAR, 0),
    ("Benign/Likely_benign", TWO_STARS, 0),
    ("Benign/Pathogenic", TWO_STARS, None),
    ("Uncertain_significance", TWO_STARS, None),
    ("Pathogenic", None, None),
    (None, TWO_STARS, None),
]


@pytest.mark.parametrize(("clnsig", "clnrevstat", "label"), FAITHFUL_TABLE)
def test_faithful_truth_table(clnsig, clnrevstat, label):
    verdict = FAITHFUL.judge(clnsig, clnrevstat)
    assert verdict.label == label
    assert (verdict.drop_reason is None) == (label is not None)


@pytest.mark.parametrize(
    "term",
    [
        "Conflicting_interpretations_of_pathogenicity",
        "Uncertain_significance",
        "not_provided",
        "no_assertion_provided",
        "no_assertion_criteria_provided",
        "risk_factor",
        "protective",
        "association",
        "drug_response",
    ],
)
def test_faithful_discards_a_record_with_any_of_nine_terms(term):
    assert FAITHFUL.judge(f"Pathogenic|{term}", ONE_STAR) == (None, "excluded_term")


@pytest.mark.parametrize("term", ["Affects", "other", "confers_sensitivity", "association_not_found", "anything"])
def test_faithful_ignores_every_other_term(term):
    assert FAITHFUL.judge(f"{term}/Benign", ONE_STAR).label == 0


@pytest.mark.parametrize(
    ("clnsig", "clnrevstat", "alt_index", "label"),
    [
        ("Benign,Pathogenic", "criteria_provided,practice_guideline", 0, 0),
        ("Benign,Pathogenic", "criteria_provided,practice_guideline", 1, 1),
        ("Benign,Pathogenic", "criteria_provided,practice_guideline", 2, 0),
        ("Pathogenic", ONE_STAR, 1, None),  # the second part, `_single_submitter`, passes no gate
        ("Pathogenic,_low_penetrance", "practice_guideline", 1, None),
    ],
)
def test_faithful_reads_the_comma_part_of_the_alt_or_the_first(clnsig, clnrevstat, alt_index, label):
    assert FAITHFUL.judge(clnsig, clnrevstat, alt_index).label == label


@pytest.mark.parametrize(
    ("clnsig", "clnrevstat", "label", "reason"),
    [
        ("Pathogenic", ONE_STAR, 1, None),
        ("Likely_pathogenic", TWO_STARS, 1, None),
        ("Pathogenic/Likely_pathogenic", TWO_STARS, 1, None),
        ("Benign", "practice_guideline", 0, None),
        ("Likely_benign", "reviewed_by_expert_panel", 0, None),
        ("Benign/Likely_benign", TWO_STARS, 0, None),
        ("Pathogenic", "criteria_provided,_conflicting_interpretations", 1, None),
        ("Pathogenic", "no_assertion_criteria_provided", None, "review_status"),
        ("Pathogenic", "no_assertion_provided", None, "review_status"),
        ("Pathogenic", "flagged_by_someone", None, "review_status"),
        ("Pathogenic", None, None, "review_status"),
        ("Pathogenic/Likely_pathogenic/Pathogenic,_low_penetrance|other", TWO_STARS, None, "low_penetrance"),
        ("Likely_pathogenic,_low_penetrance", "reviewed_by_expert_panel", None, "low_penetrance"),
        ("Pathogenic|other", TWO_STARS, None, "other_significance"),
        ("Benign|confers_sensitivity", "practice_guideline", None, "confers_sensitivity"),
        ("Pathogenic|risk_factor", ONE_STAR, None, "risk_factor"),
        ("Benign,_risk_factor", ONE_STAR, None, "risk_factor"),
        ("Benign/Likely_benign|drug_response|other", TWO_STARS, None, "drug_response"),
        ("Affects|Pathogenic", ONE_STAR, None, "affects"),
        ("Benign|association", ONE_STAR, None, "association"),
        ("Benign|association_not_found", ONE_STAR, None, "association"),
        ("protective|Benign", ONE_STAR, None, "protective"),
        ("Established_risk_allele", ONE_STAR, None, "risk_allele"),
        ("Uncertain_significance/Uncertain_risk_allele", ONE_STAR, None, "uncertain_significance"),
        ("Conflicting_classifications_of_pathogenicity", TWO_STARS, None, "conflicting"),
        ("Conflicting_interpretations_of_pathogenicity", TWO_STARS, None, "conflicting"),
        ("Conflicting_classifications_of_pathogenicity|Pathogenic", TWO_STARS, None, "conflicting"),
        ("Conflicting_interpretations_of_pathogenicity,_other", TWO_STARS, None, "conflicting"),
        ("Uncertain_significance", TWO_STARS, None, "uncertain_significance"),
        ("Benign/Pathogenic", TWO_STARS, None, "mixed_significance"),
        ("Benign,Pathogenic", TWO_STARS, None, "mixed_significance"),
        ("not_provided", "no_classification_provided", None, "not_classified"),
        ("no_classification_for_the_single_variant", "no_classification_provided", None, "not_classified"),
        ("Pathogenic|newly_invented", TWO_STARS, None, "unknown_term"),
        ("pathogenic", TWO_STARS, None, "unknown_term"),
        (None, TWO_STARS, None, "no_significance"),
        ("", TWO_STARS, None, "no_significance"),
        (".", TWO_STARS, None, "no_significance"),
    ],
)  # fmt: skip
def test_strict_table(clnsig, clnrevstat, label, reason):
    assert STRICT.judge(clnsig, clnrevstat) == (label, reason)


@pytest.mark.parametrize(
    ("clnrevstat", "stars"),
    [
        ("practice_guideline", 4),
        ("reviewed_by_expert_panel", 3),
        ("criteria_provided,_multiple_submitters,_no_conflicts", 2),
        ("criteria_provided,_single_submitter", 1),
        ("criteria_provided,_conflicting_classifications", 1),
        ("criteria_provided,_conflicting_interpretations", 1),
        ("no_assertion_criteria_provided", 0),
        ("no_assertion_provided", 0),
        ("no_classification_provided", 0),
        ("no_classifications_from_unflagged_records", 0),
        ("no_classification_for_the_single_variant", 0),
        ("no_interpretation_for_the_single_variant", 0),
        ("a_status_nobody_knows", 0),
        (None, 0),
    ],
)
def test_review_stars(clnrevstat, stars):
    assert review_stars(clnrevstat) == stars


@pytest.mark.parametrize(("min_stars", "kept"), [(0, 5), (1, 4), (2, 3), (3, 2), (4, 1)])
def test_minimum_stars(min_stars, kept):
    statuses = [
        "no_assertion_criteria_provided",
        ONE_STAR,
        TWO_STARS,
        "reviewed_by_expert_panel",
        "practice_guideline",
    ]
    policy = LabelPolicy("strict", min_stars=min_stars)
    assert [policy.judge("Benign", status).label for status in statuses] == [None] * (5 - kept) + [0] * kept


def test_terms_are_split_at_every_separator_but_low_penetrance_stays():
    value = "Pathogenic/Likely_pathogenic,_low_penetrance|drug_response,_other"
    assert significance_terms(value) == [
        "Pathogenic",
        "Likely_pathogenic,_low_penetrance",
        "drug_response",
        "other",
    ]


ROWS = pl.DataFrame(
    {
        "clnsig": ["Pathogenic", None, "Benign", "Pathogenic", "Foo|Pathogenic", "Foo/Bar", "Benign", "Foo/Bar"],
        "clnrevstat": [ONE_STAR, ONE_STAR, None, ONE_STAR, "new", "new", "practice_guideline", "new"],
        "alt_index": [0, 0, 0, 1, 0, 0, 0, 0],
    },
    schema_overrides={"alt_index": pl.Int64},
)


@pytest.mark.parametrize("policy", [FAITHFUL, STRICT])
def test_rows_are_labelled_as_each_alone_and_keep_their_order(policy):
    labelled = add_labels(ROWS, policy)
    assert labelled.select(ROWS.columns).equals(ROWS)
    verdicts = [policy.judge(*row) for row in ROWS.iter_rows()]
    assert labelled.select("label", "label_reason").rows() == [tuple(verdict) for verdict in verdicts]


def test_stars_are_the_same_under_both_policies():
    stars = [add_labels(ROWS, policy)["review_stars"].to_list() for policy in (FAITHFUL, STRICT)]
    assert stars == [[1, 1, 0, 1, 0, 0, 4, 0]] * 2


def test_unknown_words_are_surfaced_with_their_counts():
    assert count_unknown_words(ROWS) == {"CLNREVSTAT=new": 3, "CLNSIG=Foo": 3, "CLNSIG=Bar": 2}


@pytest.mark.parametrize("wrong", [("lenient", 0), ("strict", 5), ("strict", -1), ("faithful", 1)])
def test_a_wrong_policy_is_refused(wrong):
    with pytest.raises(SettingsError, match="Expected"):
        LabelPolicy(*wrong)
