"""What the checks of the study say: each passes on good facts, each fails on bad ones, and one stops what follows."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from glm_assets.defs.checks import sugarcane as checks

ADAPTER = {
    "adapter_tensors": 10,
    "adapter_tensors_in_optimiser": 10,
    "trained_tensors": 12,
    "unchanged_tensors": 0,
    "best_loss": 1.2,
    "zero_shot_loss": 1.5,
    "uniform_loss": math.log(4),
}
UNITS = {"split_faults": 0, "split_by": "homology_group", "leak": {"val": 0.01, "test": None}, "max_leak": 0.05}
KINDS = {
    "genome": (
        *(checks.GENOME_CHECKS, checks.genome_results),
        {"unknown": 2, "bases": 10},
        [{"unknown": 3}],
    ),
    "annotation": (
        *(checks.ANNOTATION_CHECKS, checks.annotation_results),
        {"genes": 1, "without_parent": 0},
        [{"genes": 0}, {"without_parent": 1}],
    ),
    "units": (
        *(checks.UNIT_CHECKS, checks.unit_results),
        UNITS,
        [{"split_faults": 1}, {"leak": {"val": 0.01, "test": 0.06}}],
    ),
    "token_shards": (
        *(checks.SHARD_CHECKS, checks.shard_results),
        {"outside_vocabulary": 0},
        [{"outside_vocabulary": 1}],
    ),
    "lora_adapter": (
        *(checks.ADAPTER_CHECKS, checks.adapter_results),
        ADAPTER,
        # The original's finished run had a loss of 1.454, and a loss may be better than before and than no guess.
        [{"unchanged_tensors": 1}, {"best_loss": 1.454}, {"zero_shot_loss": 1.1}],
    ),
    "unit_scores": (
        *(checks.SCORE_CHECKS, checks.score_results),
        {"scores_not_finite": 0, "units_scored_unevenly": 0},
        [{"scores_not_finite": 1}, {"units_scored_unevenly": 1}],
    ),
    "generations": (
        *(checks.GENERATION_CHECKS, checks.generation_results),
        {"other_letters": 0},
        [{"other_letters": 1}],
    ),
    "model_comparison": (
        *(checks.COMPARISON_CHECKS, checks.comparison_results),
        {"logprob_mean": {"zero_shot": -1.4, "fine_tuned": -1.3, "difference": 0.1, "low": 0.05, "high": 0.15}},
        [{"logprob_mean": {"difference": 0.1, "low": -0.01, "high": 0.2}}],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_check_fails_where_its_fact_is_bad_and_there_alone(kind):
    declared, answer, good, bad = KINDS[kind]
    names = [check.name for check in declared]
    assert [result.check_name for result in answer(SimpleNamespace(facts=good))] == names
    assert all(result.passed for result in answer(SimpleNamespace(facts=good)))
    for name, change in zip(names, bad, strict=True):
        failed = {
            result.check_name for result in answer(SimpleNamespace(facts=good | change)) if not result.passed
        }
        assert failed == {name}


def test_an_adapter_that_the_optimiser_does_not_move_is_told():
    results = checks.adapter_results(SimpleNamespace(facts=ADAPTER | {"adapter_tensors_in_optimiser": 8}))  # pyright: ignore[reportArgumentType]
    assert [result.check_name for result in results if not result.passed] == ["adapters_are_trained"]


def test_a_difference_without_an_interval_is_no_help():
    (result,) = checks.comparison_results(SimpleNamespace(facts={"logprob_mean": {"difference": 0.5}}))  # pyright: ignore[reportArgumentType]
    assert not result.passed


def test_groups_on_two_sides_alone_stop_what_follows():
    declared = [check for kind in KINDS.values() for check in kind[0]]
    assert [check.name for check in declared if check.blocking] == ["no_group_on_two_sides"]
