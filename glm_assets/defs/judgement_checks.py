"""The checks of probes and of the submission's score; they warn, since nothing is broken when they fail."""

import dagster as dg

from glm_assets.storage.products import Manifest

_WARN = dg.AssetCheckSeverity.WARN


def probe_check(asset: str) -> dg.AssetCheckSpec:
    """Check of a probe."""
    return dg.AssetCheckSpec(
        "separates_classes",
        asset=asset,
        description="On validation pairs that it was not fitted to, the AUROC is above 0.5.",
    )


def probe_result(manifest: Manifest) -> dg.AssetCheckResult:
    """Answer `probe_check`."""
    metrics = manifest.facts["metrics"]
    return dg.AssetCheckResult(
        check_name="separates_classes", passed=metrics["auroc"] > 0.5, severity=_WARN, metadata=metrics
    )


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
