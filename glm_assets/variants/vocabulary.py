"""ClinVar's words for clinical significance (CLNSIG) and review status (CLNREVSTAT), as data.

The tables follow ClinVar's documentation of classifications and review status, and keep the names of older
releases. Which words make a label is decided in `labels`.
"""

from __future__ import annotations

import re
from typing import Final

PATHOGENIC: Final = "pathogenic"
BENIGN: Final = "benign"

UNKNOWN_TERM: Final = "unknown_term"
"""Class of a CLNSIG term that is in no table."""

SIGNIFICANCE_CLASSES: Final[dict[str, tuple[str, ...]]] = {
    PATHOGENIC: ("Pathogenic", "Likely_pathogenic"),
    BENIGN: ("Benign", "Likely_benign"),
    "conflicting": (
        "Conflicting_classifications_of_pathogenicity",
        "Conflicting_interpretations_of_pathogenicity",  # until 2024
        "conflicting_data_from_submitters",
    ),
    "uncertain_significance": ("Uncertain_significance",),
    "low_penetrance": ("Pathogenic,_low_penetrance", "Likely_pathogenic,_low_penetrance"),
    "risk_allele": ("Established_risk_allele", "Likely_risk_allele", "Uncertain_risk_allele"),
    "risk_factor": ("risk_factor",),
    "drug_response": ("drug_response",),
    "confers_sensitivity": ("confers_sensitivity",),
    "association": ("association", "association_not_found"),
    "protective": ("protective",),
    "affects": ("Affects",),
    "other_significance": ("other",),
    "not_classified": (
        "not_provided",
        "no_assertion_criteria_provided",
        "no_assertion_provided",
        "no_classification_for_the_single_variant",
        "no_classification_provided",
        "no_classifications_from_unflagged_records",
        "no_interpretation_for_the_single_variant",
    ),
}
"""Every known CLNSIG term, by class; where a record has several, the first class here names its drop reason."""

REVIEW_STARS: Final[dict[str, int]] = {
    "practice_guideline": 4,
    "reviewed_by_expert_panel": 3,
    "criteria_provided,_multiple_submitters,_no_conflicts": 2,
    "criteria_provided,_multiple_submitters": 2,
    "criteria_provided,_single_submitter": 1,
    "criteria_provided,_conflicting_classifications": 1,
    "criteria_provided,_conflicting_interpretations": 1,  # until 2024
    "no_assertion_criteria_provided": 0,
    "no_assertion_for_the_individual_variant": 0,
    "no_assertion_provided": 0,
    "no_classification_for_the_individual_variant": 0,
    "no_classification_for_the_single_variant": 0,
    "no_classification_provided": 0,
    "no_classifications_from_unflagged_records": 0,
    "no_interpretation_for_the_single_variant": 0,
}
"""ClinVar's gold stars by CLNREVSTAT value (the table "Review status" of its documentation)."""

_CLASS_OF_TERM = {term: name for name, terms in SIGNIFICANCE_CLASSES.items() for term in terms}

# A comma separates terms in older releases ("Benign,_risk_factor"), but belongs to the term in ",_low_penetrance".
_TERM_SEPARATOR = re.compile(r"[|/;&\s]+|,(?!_low_penetrance)")


def significance_terms(clnsig: str | None) -> list[str]:
    """Split a CLNSIG value into its terms, all comma parts included; none when the key is absent."""
    parts = _TERM_SEPARATOR.split(clnsig or "")
    return [term for part in parts if (term := part.lstrip("_")) and term != "."]


def significance_class(term: str) -> str:
    """Return the class of a term, a key of `SIGNIFICANCE_CLASSES` or `UNKNOWN_TERM`."""
    return _CLASS_OF_TERM.get(term, UNKNOWN_TERM)


def review_stars(clnrevstat: str | None) -> int:
    """Return the stars 0 to 4 of a review status; an absent or unknown one earns none."""
    return REVIEW_STARS.get(clnrevstat or "", 0)


def unknown_words(clnsig: str | None, clnrevstat: str | None) -> list[str]:
    """Name the words of a record that no table has, as `CLNSIG=<term>` and `CLNREVSTAT=<status>`."""
    unknown = [f"CLNSIG={term}" for term in significance_terms(clnsig) if significance_class(term) == UNKNOWN_TERM]
    if clnrevstat is not None and clnrevstat not in REVIEW_STARS:
        unknown.append(f"CLNREVSTAT={clnrevstat}")
    return unknown
