"""Checks of the sources."""

import dagster as dg

from glm_assets.defs.checks.answers import result
from glm_assets.lineage.study import Study
from glm_assets.storage.products import Manifest


def chromosome_check(asset: str) -> dg.AssetCheckSpec:
    """The source has every chromosome that this run expects."""
    return dg.AssetCheckSpec(
        "has_expected_chromosomes", asset=asset, description="Every expected chromosome is in the source."
    )


def chromosome_result(study: Study, manifest: Manifest) -> dg.AssetCheckResult:
    """Answer `chromosome_check`."""
    missing = [chrom for chrom in study.profile.chromosomes if chrom not in manifest.facts["chromosomes"]]
    return result("has_expected_chromosomes", not missing, missing=", ".join(missing) or "none")
