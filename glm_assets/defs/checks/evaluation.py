"""Checks of what is evaluated: comparisons, a submission's score, a user's variants."""

from collections.abc import Sequence

import dagster as dg

from glm_assets.lineage.study import MAX_REFERENCE_MISMATCH
from glm_assets.storage.products import Manifest

_WARN = dg.AssetCheckSeverity.WARN

_COMPARISON = {
    "beats_baseline": "A head, probe or zero-shot score is better than gene x consequence, which sees no sequence, "
    "with an interval above 0.",
    "test_is_sealed": "Nothing was trained or chosen on the rows that judge.",
    "nothing_absent": "Every head, probe and zero-shot score takes part.",
}


def comparison_checks() -> Sequence[dg.AssetCheckSpec]:
    """What a comparison is asked."""
    return [
        dg.AssetCheckSpec(name, asset="head_comparison", description=text) for name, text in _COMPARISON.items()
    ]


def comparison_results(manifest: Manifest) -> Sequence[dg.AssetCheckResult]:
    """Answer `comparison_checks`; they only warn: a comparison whose answer is unwelcome is still right."""
    facts = manifest.facts
    answers = {
        "beats_baseline": (facts["beats_baseline"], facts["recommendation"]),
        "test_is_sealed": (facts["sealed"], f"{facts['test_rows']:,} rows judge"),
        "nothing_absent": (not facts["absent"], ", ".join(facts["absent"]) or "none"),
    }
    return [
        dg.AssetCheckResult(
            check_name=name, passed=passed, severity=dg.AssetCheckSeverity.WARN, metadata={"detail": detail}
        )
        for name, (passed, detail) in answers.items()
    ]


def structure_check() -> dg.AssetCheckSpec:
    """Check of `submission_score`."""
    return dg.AssetCheckSpec(
        "structure_found", asset="submission_score", description="The test CSV has SNV pairs or mutation ladders."
    )


def structure_result(manifest: Manifest) -> dg.AssetCheckResult:
    """Answer `structure_check`."""
    facts = manifest.facts
    found = {name: facts[name] for name in ("pairs", "ladders", "sequences_in_neither")}
    return dg.AssetCheckResult(
        check_name="structure_found",
        passed=bool(facts["pairs"] or facts["ladders"]),
        severity=_WARN,
        metadata=found,
    )


def scoring_checks() -> Sequence[dg.AssetCheckSpec]:
    """What scored variants are asked."""
    return [
        dg.AssetCheckSpec("all_scored", asset="scored_variants", description="Every allele has scores."),
        dg.AssetCheckSpec(
            "reference_matches",
            asset="scored_variants",
            description=f"At most {MAX_REFERENCE_MISMATCH:.0%} of the REF alleles in known sequence differ from the "
            "reference; a VCF of another build differs in most.",
        ),
    ]


def scoring_results(manifest: Manifest) -> Sequence[dg.AssetCheckResult]:
    """Answer `scoring_checks`."""
    facts = manifest.facts
    share = facts["reference_mismatch_share"]
    return [
        dg.AssetCheckResult(
            check_name="all_scored",
            passed=facts["scored"] == facts["rows"],
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"scored": facts["scored"], "rows": facts["rows"]} | facts["unscored"],
        ),
        dg.AssetCheckResult(
            check_name="reference_matches",
            passed=share <= MAX_REFERENCE_MISMATCH,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                "compared": facts["reference_compared"],
                "mismatches": facts["reference_mismatches"],
                "share": share,
            },
        ),
    ]
