"""The checks of `head_comparison`."""

from collections.abc import Sequence

import dagster as dg

from glm_assets.storage.products import Manifest

_ASSET = "head_comparison"
_CHECKS = {
    "beats_baseline": "A head, probe or zero-shot score is better than gene x consequence, which sees no sequence, "
    "with an interval above 0.",
    "test_is_sealed": "Nothing was trained or chosen on the rows that judge.",
    "nothing_absent": "Every head, probe and zero-shot score takes part.",
}


def comparison_checks() -> Sequence[dg.AssetCheckSpec]:
    """What a comparison is asked."""
    return [dg.AssetCheckSpec(name, asset=_ASSET, description=text) for name, text in _CHECKS.items()]


def comparison_results(manifest: Manifest) -> Sequence[dg.AssetCheckResult]:
    """Answer `comparison_checks`; they only warn: a comparison whose answer is unwelcome is still right."""
    facts = manifest.facts
    answers = {
        "beats_baseline": (facts["beats_baseline"], facts["recommendation"]),
        "test_is_sealed": (facts["sealed"], f"{facts['rows']:,} rows judge"),
        "nothing_absent": (not facts["absent"], ", ".join(facts["absent"]) or "none"),
    }
    return [
        dg.AssetCheckResult(
            check_name=name, passed=passed, severity=dg.AssetCheckSeverity.WARN, metadata={"detail": detail}
        )
        for name, (passed, detail) in answers.items()
    ]
