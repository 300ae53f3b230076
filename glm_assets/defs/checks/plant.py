"""Checks of the study `plant`."""

from typing import Any

import dagster as dg

from glm_assets.defs.checks.answers import result
from glm_assets.defs.study_group import Check
from glm_assets.storage.products import Manifest

LEAST_SAMPLES = 5

TOKEN_CHECKS = (Check("splits_do_not_overlap", "No base is in two splits.", blocking=True),)


def token_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `TOKEN_CHECKS`."""
    bases = manifest.facts["bases_in_two_splits"]
    return [result("splits_do_not_overlap", bases == 0, bases=bases)]


EVALUATION_CHECKS = (
    Check("better_than_uniform", "Fewer than 2 bits per base, those of four equally likely bases."),
    Check("beats_markov_2", "Fewer bits per base than a Markov chain of order 2 needs, beyond chance."),
    Check("memory_helps", "Fewer bits per base with the memory than without, beyond chance."),
)


def evaluation_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `EVALUATION_CHECKS`."""
    facts = manifest.facts
    bits = facts["metrics"]["bits_per_base_all"]
    answers = [result("better_than_uniform", bits < 2, warn=True, bits_per_base=bits)]
    for name, fact in (("beats_markov_2", "over_markov_2"), ("memory_helps", "memory_saves")):
        saved = {key: value for key in (fact, f"{fact}_low") if (value := facts.get(key)) is not None}
        answers.append(result(name, saved.get(f"{fact}_low", 0.0) > 0, warn=True, **saved))
    return answers


PHENOTYPE_CHECKS = (Check("every_class_has_samples", f"Each phenotype has {LEAST_SAMPLES} samples or more."),)


def phenotype_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `PHENOTYPE_CHECKS`."""
    smallest = min(manifest.facts["samples_of_a_phenotype"].values())
    return [result("every_class_has_samples", smallest >= LEAST_SAMPLES, warn=True, smallest=smallest)]


HEAD_CHECKS = (Check("beats_the_majority", "Held-out samples are told better than by the commonest class."),)


def head_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `HEAD_CHECKS`."""
    facts = manifest.facts
    figures: dict[str, Any] = {**facts["metrics"], **facts["baseline"]}
    return [result("beats_the_majority", facts["beats_majority"], warn=True, verdict=facts["verdict"], **figures)]
