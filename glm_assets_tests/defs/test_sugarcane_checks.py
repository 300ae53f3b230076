from types import SimpleNamespace

import pytest

from glm_assets.defs.checks.sugarcane import adapter_results, comparison_results, unit_results

UNITS = {"split_by": "block", "split_faults": 0, "max_leak": 0.1, "leak": {"val": 0.1, "test": None}}
ADAPTER = {
    "adapter_tensors": 4,
    "adapter_tensors_in_optimiser": 4,
    "trained_tensors": 5,
    "unchanged_tensors": 0,
    "best_loss": 1.3,
    "zero_shot_loss": 1.5,
    "uniform_loss": 1.386,
}
COMPARED = {"logprob_mean": {"difference": 0.2, "low": 0.1, "high": 0.3}}


def failed(answer, facts, **changes):
    """Names of the checks that do not pass."""
    results = answer(SimpleNamespace(facts=facts | changes))
    return [result.check_name for result in results if not result.passed]


@pytest.mark.parametrize(
    ("answer", "facts", "changes", "names"),
    [
        (unit_results, UNITS, {}, []),
        (unit_results, UNITS, {"split_faults": 1}, ["no_group_on_two_sides"]),
        (unit_results, UNITS, {"leak": {"val": 0.11, "test": None}}, ["little_shared_sequence"]),
        (adapter_results, ADAPTER, {}, []),
        (adapter_results, ADAPTER, {"adapter_tensors_in_optimiser": 2}, ["adapters_are_trained"]),
        (adapter_results, ADAPTER, {"unchanged_tensors": 1}, ["adapters_are_trained"]),
        (adapter_results, ADAPTER, {"best_loss": 1.4}, ["better_than_uniform"]),
        (adapter_results, ADAPTER, {"zero_shot_loss": 1.3}, ["better_than_zero_shot"]),
        (comparison_results, COMPARED, {}, []),
        (comparison_results, COMPARED, {"logprob_mean": {"difference": 0.2}}, ["training_helps"]),
    ],
)
def test_each_check_fails_for_its_own_reason(answer, facts, changes, names):
    assert failed(answer, facts, **changes) == names
