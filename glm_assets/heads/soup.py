"""Greedy soups: checkpoints averaged into one as long as the validation score strictly rises, as in the original.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from glm_assets.heads.recipes import SoupRule

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Candidate:
    """A checkpoint that may enter the soup.

    Attributes:
        epoch: Its epoch.
        score: Its recorded validation score.
        load: Reads its weights.
    """

    epoch: int
    score: float
    load: Callable[[], State]


@dataclass(frozen=True)
class SoupStep:
    """One mix that was tried.

    Attributes:
        epoch: Epoch of the candidate.
        alpha: Its weight in the mix; the soup so far has the rest.
        score: Validation score of the mix.
        accepted: Whether the mix became the soup.
    """

    epoch: int
    alpha: float
    score: float
    accepted: bool


@dataclass(frozen=True)
class Soup:
    """The outcome of a greedy soup.

    Attributes:
        state: The averaged weights.
        score: Their validation score.
        ingredients: Epoch to its weight in the average; the weights sum to 1.
        steps: Every mix tried, in order.
    """

    state: State
    score: float
    ingredients: dict[int, float]
    steps: tuple[SoupStep, ...]

    def as_dict(self) -> dict[str, Any]:
        """Everything but the weights, as JSON values."""
        return {
            "score": self.score,
            "ingredients": [{"epoch": epoch, "weight": weight} for epoch, weight in self.ingredients.items()],
            "steps": [asdict(step) for step in self.steps],
        }


def greedy_soup(
    candidates: Sequence[Candidate],
    rule: SoupRule,
    evaluate: Callable[[State], float],
    *,
    trust_recorded: bool = True,
) -> Soup:
    """Average checkpoints greedily.

    Without alphas every candidate is tried as a further member of a running mean, from the best epoch's recorded
    score on. With alphas the start is evaluated again, each candidate is tried with each weight, and the best of
    its mixes (the first of equals) is taken.

    Args:
        candidates: The kept checkpoints, best first.
        rule: How many are tried, and how they are mixed.
        evaluate: Validation score of some weights.
        trust_recorded: Whether recorded scores are on the pairs that `evaluate` takes.
    """
    start, *others = candidates[: rule.candidates(len(candidates))]
    state = start.load()
    score = start.score if trust_recorded and not rule.alphas else evaluate(state)
    ingredients = {start.epoch: 1.0}
    steps: list[SoupStep] = []
    for candidate in others:
        alphas = rule.alphas or (1 / (len(ingredients) + 1),)
        weights = candidate.load()
        scores = [evaluate(_mix(state, weights, alpha)) for alpha in alphas]
        best = max(range(len(alphas)), key=scores.__getitem__)
        taken = scores[best] > score
        steps += [
            SoupStep(candidate.epoch, alpha, tried, taken and index == best)
            for index, (alpha, tried) in enumerate(zip(alphas, scores, strict=True))
        ]
        if taken:
            state, score = _mix(state, weights, alphas[best]), scores[best]
            ingredients = _reweigh(ingredients, candidate.epoch, alphas[best])
    return Soup(state, score, ingredients, tuple(steps))


def _mix(soup: State, candidate: State, alpha: float) -> State:
    return {key: (1 - alpha) * tensor + alpha * candidate[key] for key, tensor in soup.items()}


def _reweigh(ingredients: Mapping[int, float], epoch: int, alpha: float) -> dict[int, float]:
    mixed = {key: (1 - alpha) * weight for key, weight in ingredients.items()} | {epoch: alpha}
    return {key: weight for key, weight in mixed.items() if weight > 0}
