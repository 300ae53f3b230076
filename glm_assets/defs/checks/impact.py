"""Checks of the study `impact`."""

import dagster as dg

from glm_assets.defs.checks.answers import result
from glm_assets.defs.study_group import Check
from glm_assets.storage.products import Manifest

# ClinVar's terms are few and known: more unknown ones mean a new vocabulary, or another file.
MAX_UNKNOWN_CONSEQUENCES = 0.01
MIN_ALLELE_AGREEMENT = 0.99
# By chance half of all bases are REF or ALT of a place; and where there are several alleles, reads show the others too.
MIN_KNOWN_ALLELES = 0.7


VARIANT_CHECKS = (
    Check(
        "consequences_known",
        f"At most {MAX_UNKNOWN_CONSEQUENCES:.0%} of the records with consequences have unknown ones alone.",
    ),
)


def variant_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `VARIANT_CHECKS`."""
    facts = manifest.facts
    share = facts["records_with_unknown_terms"] / max(1, facts["records_with_terms"])
    terms = ", ".join(facts["unknown_terms"]) or "none"
    return [
        result(
            "consequences_known", share <= MAX_UNKNOWN_CONSEQUENCES, warn=True, share=share, unknown_terms=terms
        )
    ]


EXAMPLE_CHECKS = (
    Check("splits_apart", "No group, read or sequence is in two splits.", blocking=True),
    Check(
        "alleles_shown",
        "The sequences have at the variant's place the allele that they are said to show.",
    ),
    Check(
        "reads_fit_the_reference",
        f"At least {MIN_KNOWN_ALLELES:.0%} of the reads over variants show REF or ALT: those of another build "
        "would show anything.",
    ),
)


def example_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `EXAMPLE_CHECKS`."""
    facts = manifest.facts
    shared, agreement = facts["in_several_splits"], facts["allele_agreement"]
    return [
        result("splits_apart", not any(shared.values()), **shared),
        result(
            "alleles_shown", agreement >= MIN_ALLELE_AGREEMENT, share=agreement, compared=facts["alleles_compared"]
        ),
        result(
            "reads_fit_the_reference",
            facts["known_allele_share"] >= MIN_KNOWN_ALLELES,
            warn=True,
            share=facts["known_allele_share"],
        ),
    ]


EMBEDDING_CHECKS = (
    Check("finite", "Every number is finite."),
    Check("probe_unchanged", "A pinned pair embeds as when the store first saw this encoder."),
)


def embedding_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `EMBEDDING_CHECKS`."""
    facts, drift = manifest.facts, manifest.facts["probe_drift"]
    known = "nothing was computed" if drift is None else drift
    return [
        result("finite", facts["finite"], rows=facts["rows"]),
        result(
            "probe_unchanged",
            drift is None or drift <= 1,
            drift=known,
        ),
    ]


TRAINING_SET_CHECKS = (
    Check("splits_apart", "Over all chromosomes no group, read or sequence is in two splits.", blocking=True),
)


def training_set_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `TRAINING_SET_CHECKS`."""
    shared = manifest.facts["in_several_splits"]
    return [result("splits_apart", not any(shared.values()), **shared)]


REPORT_CHECKS = (
    Check(
        "beats_the_mean",
        "On the test split the head's RMSE is below that of predicting the training examples' mean for all.",
    ),
)


def report_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `REPORT_CHECKS`."""
    saved = manifest.facts.get("rmse_saved")
    known = "no example is in the test split" if saved is None else saved
    return [result("beats_the_mean", saved is not None and saved > 0, warn=True, rmse_saved=known)]
