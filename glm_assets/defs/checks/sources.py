"""Checks of the sources."""

import dagster as dg

from glm_assets.defs.checks.answers import result
from glm_assets.lineage.release_plausibility import judge_release
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


def row_check() -> dg.AssetCheckSpec:
    """The release has not lost rows; a failure keeps everything downstream from being made of it."""
    return dg.AssetCheckSpec(
        "rows_do_not_drop",
        asset="clinvar_release",
        blocking=True,
        description="No expected chromosome, nor all together, has fewer rows than in the last plausible release by "
        "more than `refresh.max_row_drop`.",
    )


def row_result(study: Study) -> dg.AssetCheckResult:
    """Answer `row_check`."""
    verdict = judge_release(study)
    largest = max((drop.share for drop in verdict.compared), default=0.0)
    return result(
        "rows_do_not_drop",
        not verdict.drops,
        dropped="; ".join(map(str, verdict.drops)) or "none",
        release_before=verdict.before or "none",
        largest_drop=largest,
        allowed_drop=study.profile.refresh.max_row_drop,
    )
