"""Checks of the study `impact`."""

import dagster as dg

from glm_assets.defs.checks.answers import partitioned, result
from glm_assets.storage.products import Manifest

# ClinVar's terms are few and known: more unknown ones mean a new vocabulary, or another file.
MAX_UNKNOWN_CONSEQUENCES = 0.01
MIN_ALLELE_AGREEMENT = 0.99
# By chance half of all bases are REF or ALT of a place; and where there are several alleles, reads show the others too.
MIN_KNOWN_ALLELES = 0.7

_VARIANTS = dg.AssetKey(["impact", "individual_variants"])
_EXAMPLES = dg.AssetKey(["impact", "read_examples"])
_EMBEDDINGS = dg.AssetKey(["impact", "read_embeddings"])
_TRAINING_SET = dg.AssetKey(["impact", "training_set"])
_REPORT = dg.AssetKey(["impact", "report"])


def variant_checks() -> list[dg.AssetCheckSpec]:
    """Checks of `impact/individual_variants`."""
    known = f"At most {MAX_UNKNOWN_CONSEQUENCES:.0%} of the records with consequences have unknown ones alone."
    return [partitioned(_VARIANTS, "consequences_known", known)]


def variant_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `variant_checks`."""
    facts = manifest.facts
    share = facts["records_with_unknown_terms"] / max(1, facts["records_with_terms"])
    terms = ", ".join(facts["unknown_terms"]) or "none"
    return [
        result(
            "consequences_known", share <= MAX_UNKNOWN_CONSEQUENCES, warn=True, share=share, unknown_terms=terms
        )
    ]


def example_checks() -> list[dg.AssetCheckSpec]:
    """Checks of `impact/read_examples`."""
    return [
        partitioned(_EXAMPLES, "splits_apart", "No group, read or sequence is in two splits.", blocking=True),
        partitioned(
            _EXAMPLES,
            "alleles_shown",
            "The sequences have at the variant's place the allele that they are said to show.",
        ),
        partitioned(
            _EXAMPLES,
            "reads_fit_the_reference",
            f"At least {MIN_KNOWN_ALLELES:.0%} of the reads over variants show REF or ALT: those of another build "
            "would show anything.",
        ),
    ]


def example_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `example_checks`."""
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


def embedding_checks() -> list[dg.AssetCheckSpec]:
    """Checks of `impact/read_embeddings`."""
    return [
        partitioned(_EMBEDDINGS, "finite", "Every number is finite."),
        partitioned(
            _EMBEDDINGS, "probe_unchanged", "A pinned pair embeds as when the store first saw this encoder."
        ),
    ]


def embedding_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `embedding_checks`."""
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


def training_set_checks() -> list[dg.AssetCheckSpec]:
    """Checks of `impact/training_set`."""
    apart = "Over all chromosomes no group, read or sequence is in two splits."
    return [dg.AssetCheckSpec("splits_apart", asset=_TRAINING_SET, description=apart, blocking=True)]


def training_set_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `training_set_checks`."""
    shared = manifest.facts["in_several_splits"]
    return [result("splits_apart", not any(shared.values()), **shared)]


def report_checks() -> list[dg.AssetCheckSpec]:
    """Checks of `impact/report`."""
    better = "On the test split the head's RMSE is below that of predicting the training examples' mean for all."
    return [dg.AssetCheckSpec("beats_the_mean", asset=_REPORT, description=better)]


def report_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `report_checks`."""
    saved = manifest.facts.get("rmse_saved")
    known = "no example is in the test split" if saved is None else saved
    return [result("beats_the_mean", saved is not None and saved > 0, warn=True, rmse_saved=known)]
