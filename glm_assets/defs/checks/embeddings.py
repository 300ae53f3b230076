"""Checks of vectors, of variants and of ladders."""

import dagster as dg

from glm_assets.defs.checks.answers import partitioned, result
from glm_assets.storage.products import Manifest

# A float32 difference that is exactly zero means that the encoder cannot tell the variant from the reference.
MAX_ZERO_DELTAS = 0.01
# Vectors of windows are alike in length; one of quite another is a fault of the model or of the store.
NORM_RANGE = 20


_FINITE = "Every number is finite."
_SEES_VARIANTS = f"At most {MAX_ZERO_DELTAS:.0%} of the differences are exactly zero."
_PROBE_UNCHANGED = "A pinned pair embeds as when the store first saw this encoder, up to rounding."


def pair_checks(asset: str) -> list[dg.AssetCheckSpec]:
    """Checks of everything that an encoder makes of pairs, a chromosome at a time."""
    return [
        partitioned(asset, "finite", _FINITE),
        partitioned(asset, "sees_variants", _SEES_VARIANTS),
        partitioned(asset, "probe_unchanged", _PROBE_UNCHANGED),
    ]


def pair_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `pair_checks`."""
    facts = manifest.facts
    zero = facts["zero_delta_share"] or 0.0
    return [
        result("finite", facts["finite"], rows=facts["rows"]),
        result("sees_variants", zero <= MAX_ZERO_DELTAS, share=zero),
        result(
            "probe_unchanged",
            facts["probe_drift"] is None or facts["probe_drift"] <= 1,
            drift="nothing was computed" if facts["probe_drift"] is None else facts["probe_drift"],
        ),
    ]


def embedding_checks() -> list[dg.AssetCheckSpec]:
    """Checks of `variant_embeddings`."""
    asset = "variant_embeddings"
    norm_range = partitioned(
        asset,
        "norm_range",
        f"Reference vectors are within {NORM_RANGE} times their median length, either way.",
    )
    return [*pair_checks(asset), norm_range]


def embedding_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `embedding_checks`."""
    facts = manifest.facts
    norm_range = result(
        "norm_range",
        facts["median_norm"] <= NORM_RANGE * facts["smallest_norm"]
        and facts["largest_norm"] <= NORM_RANGE * facts["median_norm"],
        smallest_norm=facts["smallest_norm"],
        median_norm=facts["median_norm"],
        largest_norm=facts["largest_norm"],
    )
    return [*pair_results(manifest), norm_range]


def ladder_checks() -> list[dg.AssetCheckSpec]:
    """Checks of `mutation_ladders`."""
    asset = "mutation_ladders"
    answers = "Within ladders distances grow with the number of substitutions: their mean correlation is positive."
    return [
        dg.AssetCheckSpec("finite", asset=asset, description=_FINITE),
        dg.AssetCheckSpec("sees_variants", asset=asset, description=_SEES_VARIANTS),
        dg.AssetCheckSpec("probe_unchanged", asset=asset, description=_PROBE_UNCHANGED),
        dg.AssetCheckSpec("distances_grow", asset=asset, description=answers),
    ]


def ladder_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `ladder_checks`."""
    r = manifest.facts["mean_pearson"]
    known = "there are no ladders" if r is None else r
    return [*pair_results(manifest), result("distances_grow", r is None or r > 0, warn=True, mean_pearson=known)]
