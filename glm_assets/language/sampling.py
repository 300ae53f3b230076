"""Drawing the next token from a model's logits.

In the order in which it is usual: only allowed tokens, divided by the temperature, the `top_k` likeliest of them, and
of these the smallest set that holds the share `top_p` of the probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import EncoderError, SettingsError

# A sum of probabilities that should be top_p exactly may be rounded below it.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    Attributes:
        temperature: 1 draws from the model's own distribution, less makes likely tokens likelier, 0 always takes the
            likeliest (of equal ones that of the smallest id).
        top_k: Tokens that may be drawn, the likeliest; 0 for all.
        top_p: Share of the probability that they must hold.
        seed: With which every sequence's own numbers begin.
        allowed: Ids that may be drawn; None for all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    allowed: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not (self.temperature >= 0 and self.top_k >= 0 and 0 < self.top_p <= 1 and self.allowed != ()):
            raise SettingsError(
                f"nothing can be drawn with temperature {self.temperature}, top_k {self.top_k}, top_p {self.top_p}"
                f" and allowed {self.allowed}",
                expected="temperature and top_k of 0 or more, top_p above 0 and up to 1, a token that is allowed",
            )

    def generator(self, prompt: int, sample: int) -> np.random.Generator:
        """The random numbers of one sequence: what is drawn for it depends on no other."""
        return np.random.default_rng([self.seed, prompt, sample])


def next_probabilities(logits: NDArray[np.floating], sampling: Sampling) -> NDArray[np.float64]:
    """Probabilities (b, c) with which each of c tokens is drawn.

    Args:
        logits: (b, c) of the tokens that are allowed, in the order of their ids.
        sampling: How tokens are drawn; `allowed` has been seen to.

    Raises:
        EncoderError: A logit is not a number.
    """
    if np.isnan(logits).any():
        raise EncoderError("the model's logits are not numbers", fix="look at its weights and its precision")
    # A stable sort of the negated logits puts the smaller id first where two are equal.
    order = np.argsort(-logits, axis=1, kind="stable")
    ranked = np.take_along_axis(logits, order, axis=1).astype(np.float64)
    if sampling.temperature == 0:
        kept = np.zeros_like(ranked)
        kept[:, 0] = 1
    else:
        kept = _softmax(ranked / sampling.temperature)
        if sampling.top_k:
            kept[:, sampling.top_k :] = 0
            kept /= kept.sum(axis=1, keepdims=True)
        if sampling.top_p < 1:
            held = np.cumsum(kept, axis=1)
            kept[:, 1:][held[:, :-1] >= sampling.top_p - _ROUNDING] = 0
            kept /= kept.sum(axis=1, keepdims=True)
    probabilities = np.empty_like(kept)
    np.put_along_axis(probabilities, order, kept, axis=1)
    return probabilities


def draw(probabilities: NDArray[np.float64], generators: Sequence[np.random.Generator]) -> NDArray[np.int64]:
    """Draw one column (b,) from each row of probabilities (b, c), each row with a generator of its own."""
    edges = np.cumsum(probabilities, axis=1)
    points = np.array([generator.random() for generator in generators]) * edges[:, -1]
    # The first column whose upper edge is above the point has a probability above 0.
    return (edges <= points[:, None]).sum(axis=1)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
