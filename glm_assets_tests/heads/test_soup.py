from __future__ import annotations

import pytest
import torch

from glm_assets.heads.recipes import ORIGINAL_RECIPES, SoupRule
from glm_assets.heads.soup import Candidate, Soup, greedy_soup

ORIGINAL = {version: recipe.soup for version, recipe in ORIGINAL_RECIPES.items()}


class Bench:
    """Checkpoints that are one number each; the score is best at a target. Counts evaluations."""

    def __init__(self, values: list[float], target: float) -> None:
        self.values = values
        self.target = target
        self.evaluated: list[float] = []

    def score(self, state) -> float:
        self.evaluated.append(float(state["w"]))
        return -abs(float(state["w"]) - self.target)

    def soup(self, rule: SoupRule) -> Soup:
        candidates = [
            Candidate(epoch, -abs(value - self.target), lambda value=value: {"w": torch.tensor(value).double()})
            for epoch, value in enumerate(self.values, start=1)
        ]
        return greedy_soup(candidates, rule, self.score)


def mixed(soup: Soup, values: list[float]) -> float:
    return sum(weight * values[epoch - 1] for epoch, weight in soup.ingredients.items())


def test_running_mean_weighs_all_ingredients_the_same():
    values = [1.0, 5.0, 3.0, 3.0]
    soup = Bench(values, target=3.0).soup(ORIGINAL["v0"])
    # 1 is the start; (1+5)/2 = 3 is better; nothing after it is strictly better
    assert soup.ingredients == {1: 0.5, 2: 0.5}
    assert [(step.epoch, step.alpha, step.accepted) for step in soup.steps] == [
        (2, 1 / 2, True),
        (3, 1 / 3, False),
        (4, 1 / 3, False),
    ]
    assert float(soup.state["w"]) == pytest.approx(3.0)
    assert soup.score == pytest.approx(0.0)


def test_third_ingredient_enters_with_a_third():
    values = [0.0, 2.0, 2.0]
    soup = Bench(values, target=2.0).soup(SoupRule())
    assert soup.ingredients == pytest.approx({1: 1 / 3, 2: 1 / 3, 3: 1 / 3})
    assert float(soup.state["w"]) == pytest.approx(4 / 3)


def test_best_weight_of_a_candidate_is_taken():
    values = [0.0, 4.0, 100.0]
    soup = Bench(values, target=3.0).soup(ORIGINAL["v2"])
    assert soup.ingredients == {1: 1.0}  # of three checkpoints, 30 % is one
    soup = Bench(values, target=3.0).soup(SoupRule(alphas=ORIGINAL["v2"].alphas))
    assert soup.ingredients == {1: 0.25, 2: 0.75}
    assert [step.alpha for step in soup.steps if step.accepted] == [0.75]


def test_a_candidate_can_replace_the_soup():
    soup = Bench([0.0, 3.0], target=3.0).soup(SoupRule(alphas=(0.5, 1.0)))
    assert soup.ingredients == {2: 1.0}


def test_equal_scores_change_nothing():
    soup = Bench([1.0, 1.0, 1.0], target=5.0).soup(SoupRule(alphas=(0.5, 1.0)))
    assert soup.ingredients == {1: 1.0}
    assert not any(step.accepted for step in soup.steps)


@pytest.mark.parametrize(
    ("version", "kept", "trials", "evaluations"),
    # with weights, the start is evaluated again; without, its recorded score stands
    [("v0", 100, 99, 99), ("v1", 10, 2, 2), ("v2", 10, 8, 9), ("v3", 10, 90, 91)],
)
def test_original_rules_try_the_known_number_of_mixes(version, kept, trials, evaluations):
    bench = Bench([float(value) for value in range(kept)], target=0.0)
    soup = bench.soup(ORIGINAL[version])
    assert len(soup.steps) == trials
    assert len(bench.evaluated) == evaluations


@pytest.mark.parametrize("version", ["v0", "v1", "v2", "v3"])
def test_ingredients_explain_the_weights(version):
    values = torch.rand(10, generator=torch.Generator().manual_seed(4)).double().tolist()
    values = sorted(values, key=lambda value: abs(value - 0.42))
    soup = Bench(values, target=0.42).soup(ORIGINAL[version])
    assert sum(soup.ingredients.values()) == pytest.approx(1)
    assert float(soup.state["w"]) == pytest.approx(mixed(soup, values))
