"""Checks of the study `sugarcane`."""

from typing import Any

import dagster as dg

from glm_assets.defs.checks.answers import result
from glm_assets.defs.study_group import Check
from glm_assets.storage.products import Manifest
from glm_assets.studies.sugarcane.model_comparison import FIGURE

MAX_UNKNOWN = 0.2

GENOME_CHECKS = (Check("mostly_known", f"At most {MAX_UNKNOWN:.0%} of the bases are unknown."),)


def genome_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `GENOME_CHECKS`."""
    facts = manifest.facts
    share = facts["unknown"] / facts["bases"]
    return [result("mostly_known", share <= MAX_UNKNOWN, warn=True, unknown_share=share)]


ANNOTATION_CHECKS = (
    Check("has_genes", "There are genes."),
    Check("parents_are_there", "Every parent that a feature names is in the file."),
)


def annotation_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `ANNOTATION_CHECKS`."""
    facts = manifest.facts
    genes, orphans = facts["genes"], facts["without_parent"]
    return [
        result("has_genes", genes > 0, warn=True, genes=genes),
        result("parents_are_there", orphans == 0, warn=True, features_without_their_parent=orphans),
    ]


UNIT_CHECKS = (
    Check(
        "no_group_on_two_sides",
        "No homology group is in two splits; blocks of two splits are the gap apart.",
        blocking=True,
    ),
    Check("little_shared_sequence", "Held-out splits share no more of their sketch with train than allowed."),
)


def unit_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `UNIT_CHECKS`."""
    facts = manifest.facts
    leaks = {f"shared_{split}": share for split, share in facts["leak"].items() if share is not None}
    return [
        result(
            "no_group_on_two_sides", facts["split_faults"] == 0, by=facts["split_by"], faults=facts["split_faults"]
        ),
        result(
            "little_shared_sequence",
            all(share <= facts["max_leak"] for share in leaks.values()),
            warn=True,
            allowed=facts["max_leak"],
            **leaks,
        ),
    ]


SHARD_CHECKS = (Check("vocabulary", "No token is outside of what the model reads."),)


def shard_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `SHARD_CHECKS`."""
    odd = manifest.facts["outside_vocabulary"]
    return [result("vocabulary", odd == 0, tokens=odd)]


ADAPTER_CHECKS = (
    Check("adapters_are_trained", "Every adapter is in the optimiser and was changed."),
    Check("better_than_uniform", "The validation loss is below ln 4, that of four equally likely bases."),
    Check("better_than_zero_shot", "The validation loss is below that before training."),
)


def adapter_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `ADAPTER_CHECKS`."""
    facts = manifest.facts
    losses: dict[str, Any] = {name: facts[name] for name in ("best_loss", "zero_shot_loss", "uniform_loss")}
    return [
        result(
            "adapters_are_trained",
            facts["unchanged_tensors"] == 0 and facts["adapter_tensors"] == facts["adapter_tensors_in_optimiser"],
            adapter_tensors=facts["adapter_tensors"],
            adapter_tensors_in_optimiser=facts["adapter_tensors_in_optimiser"],
            trained_tensors=facts["trained_tensors"],
            unchanged_tensors=facts["unchanged_tensors"],
        ),
        result("better_than_uniform", facts["best_loss"] < facts["uniform_loss"], warn=True, **losses),
        result("better_than_zero_shot", facts["best_loss"] < facts["zero_shot_loss"], warn=True, **losses),
    ]


SCORE_CHECKS = (
    Check("finite", "Every score is a finite number."),
    Check("comparable", "Before training and after, the same bases of each unit were scored."),
)


def score_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `SCORE_CHECKS`."""
    facts = manifest.facts
    odd, uneven = facts["scores_not_finite"], facts["units_scored_unevenly"]
    return [result("finite", odd == 0, scores=odd), result("comparable", uneven == 0, units=uneven)]


GENERATION_CHECKS = (Check("only_bases", "What was drawn is spelled by A, C, G and T."),)


def generation_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `GENERATION_CHECKS`."""
    odd = manifest.facts["other_letters"]
    return [result("only_bases", odd == 0, warn=True, other_letters=odd)]


COMPARISON_CHECKS = (Check("training_helps", "Test units are likelier after training, beyond chance."),)


def comparison_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `COMPARISON_CHECKS`."""
    facts = manifest.facts
    figures: dict[str, Any] = facts[FIGURE]
    return [result("training_helps", figures.get("low", 0.0) > 0, warn=True, **figures)]
