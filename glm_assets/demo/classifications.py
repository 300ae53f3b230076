"""What ClinVar says of a record: CLNSIG and CLNREVSTAT in its own spelling, common and awkward ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SINGLE = "criteria_provided,_single_submitter"
MULTIPLE = "criteria_provided,_multiple_submitters,_no_conflicts"
CONFLICTING = "criteria_provided,_conflicting_classifications"
EXPERTS = "reviewed_by_expert_panel"
GUIDELINE = "practice_guideline"
NO_CRITERIA = "no_assertion_criteria_provided"
NO_CLASSIFICATION = "no_classification_provided"

_PATHOGENIC_TERMS = ("Pathogenic", "Likely_pathogenic", "Pathogenic/Likely_pathogenic")
_BENIGN_TERMS = ("Benign", "Likely_benign", "Benign/Likely_benign")


@dataclass(frozen=True)
class Classification:
    """The aggregate germline classification of a record.

    Attributes:
        significance: CLNSIG; None where the record has no germline classification.
        review: CLNREVSTAT.
        label: 1 (likely) pathogenic, 0 (likely) benign, None otherwise: every term has to say so, and the review
            status has to earn at least one star.
    """

    significance: str | None
    review: str | None
    label: int | None = None


UNCERTAIN = Classification("Uncertain_significance", SINGLE)
IN_CONFLICT = Classification("Conflicting_classifications_of_pathogenicity", CONFLICTING)
UNCLASSIFIED = Classification(None, None)

# Awkward records: classification and what the change does to the gene.
AWKWARD: tuple[tuple[Classification, str], ...] = (
    # The highest rank.
    (Classification("Pathogenic", GUIDELINE, 1), "nonsense"),
    # Another term or a tail after a comma beside the one that makes the label.
    (Classification("Pathogenic/Likely_pathogenic/Pathogenic,_low_penetrance|other", MULTIPLE), "nonsense"),
    (Classification("Likely_pathogenic,_low_penetrance", EXPERTS), "nonsense"),
    (Classification("Pathogenic|other", SINGLE), "nonsense"),
    (Classification("Pathogenic|Affects", SINGLE), "nonsense"),
    (Classification("Pathogenic|risk_factor", SINGLE), "nonsense"),
    (Classification("Benign|confers_sensitivity", GUIDELINE), "synonymous_variant"),
    (Classification("Benign|other", MULTIPLE), "synonymous_variant"),
    (Classification("Benign/Likely_benign|drug_response|other", MULTIPLE), "synonymous_variant"),
    # No star.
    (Classification("Pathogenic", NO_CRITERIA), "nonsense"),
    (Classification("Likely_benign", NO_CRITERIA), "synonymous_variant"),
    (Classification("Pathogenic", NO_CLASSIFICATION), "nonsense"),
    (Classification("Pathogenic", "no_classifications_from_unflagged_records"), "nonsense"),
    (Classification("Pathogenic", "no_assertion_provided"), "nonsense"),
    (Classification("Affects|Pathogenic", "no_assertion_provided"), "nonsense"),
    (Classification("not_provided", NO_CLASSIFICATION), "missense_variant"),
    # Something else than pathogenicity.
    (Classification("drug_response", EXPERTS), "missense_variant"),
    (Classification("risk_factor", SINGLE), "missense_variant"),
    (Classification("protective", SINGLE), "missense_variant"),
    (Classification("association", SINGLE), "missense_variant"),
    (Classification("Affects", SINGLE), "missense_variant"),
    (Classification("other", SINGLE), "missense_variant"),
    (Classification("Established_risk_allele", SINGLE), "missense_variant"),
    (Classification("Likely_risk_allele", SINGLE), "missense_variant"),
    (Classification("Uncertain_risk_allele", SINGLE), "missense_variant"),
    # Conflicts: today's term, the one before 2024, and a contradiction in one field.
    (Classification("Conflicting_classifications_of_pathogenicity|Pathogenic", CONFLICTING), "nonsense"),
    (Classification("Conflicting_classifications_of_pathogenicity|other", CONFLICTING), "missense_variant"),
    (
        Classification(
            "Conflicting_interpretations_of_pathogenicity", "criteria_provided,_conflicting_interpretations"
        ),
        "missense_variant",
    ),
    (Classification("Uncertain_significance/Uncertain_risk_allele", MULTIPLE), "missense_variant"),
    (Classification("Uncertain_significance", NO_CRITERIA), "missense_variant"),
)


def draw_labelled(label: int, rng: np.random.Generator) -> Classification:
    """A plain pathogenic (1) or benign (0) classification, in about ClinVar's proportions.

    A double term such as `Benign/Likely_benign` takes at least two submitters.
    """
    term = str(rng.choice(_PATHOGENIC_TERMS if label else _BENIGN_TERMS, p=[0.5, 0.3, 0.2]))
    reviews = (MULTIPLE, EXPERTS) if "/" in term else (SINGLE, MULTIPLE, EXPERTS)
    review = str(rng.choice(reviews, p=[0.95, 0.05] if "/" in term else [0.6, 0.3, 0.1]))
    return Classification(term, review, label)
