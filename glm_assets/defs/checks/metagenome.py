"""Checks of the study `metagenome`."""

from typing import Any

import dagster as dg

from glm_assets.defs.checks.answers import result
from glm_assets.defs.study_group import Check
from glm_assets.storage.products import Manifest

MAX_UNKNOWN_TOKENS = 0.01
MAX_WRONG_LENGTHS = 0.1


READ_CHECKS = (
    Check("labels_have_reads", "Every label of the mapping has reads."),
    Check("classes_are_known", "No read was dropped for a class id that the mapping lacks."),
    Check(
        "declared_lengths_agree",
        f"At most {MAX_WRONG_LENGTHS:.0%} of the headers declare another length.",
    ),
)


def read_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `READ_CHECKS`; none of them stops anything, for what was dropped is counted."""
    facts = manifest.facts
    empty = [label for label, reads in facts["per_label"].items() if not reads]
    wrong = facts["wrong_lengths"] / max(1, facts["declared_lengths"])
    return [
        result("labels_have_reads", not empty, warn=True, without_reads=", ".join(empty) or "none"),
        result(
            "classes_are_known",
            not facts["dropped"]["unknown_class"],
            warn=True,
            dropped_reads=facts["dropped"]["unknown_class"],
            class_ids=", ".join(facts["unknown_classes"]) or "none",
        ),
        result("declared_lengths_agree", wrong <= MAX_WRONG_LENGTHS, warn=True, wrong_share=wrong),
    ]


SPLIT_CHECKS = (
    Check("no_genome_on_two_sides", "Each source genome is in one split.", blocking=True),
    Check(
        "no_shared_sequence",
        "No more held-out reads than `split.max_leak` share a long k-mer with a read of train.",
        blocking=True,
    ),
    Check("every_label_everywhere", "Every label has reads in every split."),
)


def split_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `SPLIT_CHECKS`."""
    facts = manifest.facts
    return [
        result("no_genome_on_two_sides", not facts["genomes_on_two_sides"], genomes=facts["genomes_on_two_sides"]),
        result(
            "no_shared_sequence",
            facts["leak_share"] <= facts["max_leak"],
            leaking_reads=facts["leaking_reads"],
            leak_share=facts["leak_share"],
            allowed_share=facts["max_leak"],
        ),
        result(
            "every_label_everywhere",
            not facts["warnings"],
            warn=True,
            warnings="; ".join(facts["warnings"]) or "none",
        ),
    ]


CLASSIFIER_CHECKS = (
    Check(
        "tokens_are_known",
        f"At most {MAX_UNKNOWN_TOKENS:.0%} of the tokens are ones that the tokenizer does not know.",
    ),
    Check("holds_no_base_model", "The saved files are those that were trained, and no more."),
)


def classifier_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `CLASSIFIER_CHECKS`."""
    facts = manifest.facts
    unknown = facts.get("unknown_token_share", 0.0)
    share = facts["saved_bytes"] / facts["model_bytes"]
    whole: dict[str, Any] = {"saved_bytes": facts["saved_bytes"], "model_bytes": facts["model_bytes"]}
    return [
        result("tokens_are_known", unknown <= MAX_UNKNOWN_TOKENS, warn=True, unknown_share=unknown),
        result("holds_no_base_model", facts["method"] == "full" or share < 1, **whole),
    ]


EVALUATION_CHECKS = (
    Check("beats_kmer_counts", "Macro-F1 is above that of a linear model on k-mer counts."),
    Check("reads_were_set_aside", "The reads that judge did not choose the epoch."),
)


def evaluation_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `EVALUATION_CHECKS`."""
    facts = manifest.facts
    beats = result(
        "beats_kmer_counts",
        facts["macro_f1_over_baseline"] > 0,
        warn=True,
        macro_f1=facts["metrics"]["macro_f1"],
        baseline=facts["baseline"]["baseline_macro_f1"],
        difference=facts["macro_f1_over_baseline"],
    )
    judged = facts["judged_split"]
    return [beats, result("reads_were_set_aside", judged == "test", warn=True, judged_split=judged)]


PREDICTION_CHECKS = (Check("probabilities_sum_to_one", "The probabilities of each read sum to 1."),)


def prediction_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `PREDICTION_CHECKS`."""
    worst = manifest.facts["largest_sum_error"]
    return [result("probabilities_sum_to_one", worst < 1e-4, largest_error=worst)]
