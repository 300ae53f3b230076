"""What the checks of the study say: each passes on good facts, each fails on bad ones, and one stops what follows."""

from __future__ import annotations

from types import SimpleNamespace

import dagster as dg
import pytest

from glm_assets.defs.assets import plant
from glm_assets.defs.checks import plant as checks

JUDGED = {
    "metrics": {"bits_per_base_all": 1.9},
    "over_markov_2": 0.05,
    "over_markov_2_low": 0.01,
    "memory_saves": 0.02,
    "memory_saves_low": 0.001,
}
HEAD = {
    "metrics": {"accuracy": 0.9},
    "baseline": {"majority_accuracy": 0.5},
    "verdict": "beats",
    "beats_majority": True,
}
KINDS = {
    "tokens": (
        *(checks.TOKEN_CHECKS, checks.token_results),
        {"bases_in_two_splits": 0},
        [{"bases_in_two_splits": 6}],
    ),
    "evaluation": (
        *(checks.EVALUATION_CHECKS, checks.evaluation_results),
        JUDGED,
        # A lead whose interval holds 0 is none, and neither is one of too few blocks for an interval.
        [{"metrics": {"bits_per_base_all": 2.0}}, {"over_markov_2_low": -0.01}, {"memory_saves_low": None}],
    ),
    "phenotypes": (
        *(checks.PHENOTYPE_CHECKS, checks.phenotype_results),
        {"samples_of_a_phenotype": {"tall": 5, "dwarf": 9}},
        [{"samples_of_a_phenotype": {"tall": 4, "dwarf": 9}}],
    ),
    "phenotype_head": (
        *(checks.HEAD_CHECKS, checks.head_results),
        HEAD,
        [{"beats_majority": False}],
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


def test_each_asset_declares_what_its_step_answers():
    assets = plant.GROUP.build(dg.StaticPartitionsDefinition(["cress"]))
    declared = {(spec.asset_key.path[-1], spec.name) for asset in assets for spec in asset.check_specs}
    assert declared == {(kind, check.name) for kind, of in KINDS.items() for check in of[0]}


def test_a_model_without_a_memory_has_none_that_helps():
    facts = {name: value for name, value in JUDGED.items() if not name.startswith("memory")}
    passed = {each.check_name: each.passed for each in checks.evaluation_results(SimpleNamespace(facts=facts))}  # pyright: ignore[reportArgumentType]
    assert passed == {"better_than_uniform": True, "beats_markov_2": True, "memory_helps": False}


def test_the_baseline_stands_beside_the_head():
    (result,) = checks.head_results(SimpleNamespace(facts=HEAD))  # pyright: ignore[reportArgumentType]
    assert result.metadata["majority_accuracy"].value == 0.5


def test_shared_bases_alone_stop_what_follows():
    declared = [check for kind in KINDS.values() for check in kind[0]]
    assert [check.name for check in declared if check.blocking] == ["splits_do_not_overlap"]
