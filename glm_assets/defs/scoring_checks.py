"""The checks of `scored_variants`."""

from collections.abc import Sequence

import dagster as dg

from glm_assets.lineage.study import MAX_REFERENCE_MISMATCH
from glm_assets.storage.products import Manifest

_ASSET = "scored_variants"


def scoring_checks() -> Sequence[dg.AssetCheckSpec]:
    """What scored variants are asked."""
    return [
        dg.AssetCheckSpec("all_scored", asset=_ASSET, description="Every allele has scores."),
        dg.AssetCheckSpec(
            "reference_matches",
            asset=_ASSET,
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
