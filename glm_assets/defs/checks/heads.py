"""Checks of heads and probes."""

import dagster as dg

from glm_assets.defs.checks.answers import result
from glm_assets.storage.products import Manifest


def head_checks(asset: str) -> list[dg.AssetCheckSpec]:
    """Checks of a head."""
    return [
        dg.AssetCheckSpec(
            "separates_classes",
            asset=asset,
            description="On the validation split pathogenic variants are farther from their reference than benign "
            "ones.",
        ),
        dg.AssetCheckSpec(
            "gates_alive",
            asset=asset,
            description="No block is one whose gradient is exactly zero. Recipe faithful is known to have such "
            "blocks in v2 and v3, so there the check only warns.",
        ),
    ]


def head_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `head_checks`."""
    facts = manifest.facts
    blocks, parameters = facts["dead_blocks_share"], facts["dead_parameters_share"]
    return [
        result("separates_classes", facts["metrics"]["cdd"] > 0, warn=True, **facts["metrics"]),
        result(
            "gates_alive",
            not any(blocks.values()),
            warn=facts["recipe"] == "faithful",
            **{f"dead_blocks_share_at_the_{when}": share for when, share in blocks.items()},
            **{f"dead_parameters_share_at_the_{when}": share for when, share in parameters.items()},
        ),
    ]


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
