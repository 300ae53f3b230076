"""Sequence whose next base depends on the three before it, and that reads alike on both strands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.demo.background import Bases

Tape = Callable[[int], Bases]
"""Gives so many bases more."""

LETTERS: Final = np.frombuffer(b"ACGT", np.uint8)

_ORDER = 3
_WORDS = 4 ** (_ORDER + 1)
_CONTEXTS = 4**_ORDER
_STRETCH = 100  # bases of which many are drawn side by side
_ROUNDS = 200
_AHEAD = 20_000


@dataclass(frozen=True)
class BaseChain:
    """A Markov chain of third order.

    Attributes:
        shares: (64, 4) of the next base after each three.
        contexts: (64,) shares of the three in the long run.
    """

    shares: NDArray[np.float64]
    contexts: NDArray[np.float64]

    @property
    def entropy(self) -> float:
        """Of the next base, in nats: the loss that no model can go below."""
        return float(-(self.contexts[:, None] * self.shares * np.log(self.shares)).sum())

    def tape(self, rng: np.random.Generator) -> Tape:
        """Draws ahead, many bases at a time, for those who take a few at a time."""
        left = np.empty(0, np.uint8)

        def take(length: int) -> Bases:
            nonlocal left
            if len(left) < length:
                left = np.concatenate([left, self.draw(max(length, _AHEAD), rng)])
            taken, left = left[:length].copy(), left[length:]
            return taken

        return take

    def draw(self, length: int, rng: np.random.Generator) -> Bases:
        """Upper-case bases; every 100 the chain begins anew."""
        rows = -(-length // _STRETCH)
        limits = self.shares.cumsum(axis=1)[:, :3]
        context = rng.choice(_CONTEXTS, rows, p=self.contexts)
        ids = np.empty((rows, _STRETCH), np.uint8)
        for place, drawn in enumerate(rng.random((_STRETCH, rows))):
            ids[:, place] = (drawn[:, None] > limits[context]).sum(axis=1)
            context = (context * 4 + ids[:, place]) % _CONTEXTS
        return LETTERS[ids.ravel()[:length]]


def make_chain(spread: float, rng: np.random.Generator) -> BaseChain:
    """A chain from random weights of words of four bases, equal for a word and its reverse complement.

    The chain is the one whose sequences have the product of their words' weights as probability, so that a sequence
    and its reverse complement are equally likely.

    Args:
        spread: Standard deviation of the weights' logarithms.
        rng: Decides the weights.
    """
    logs = rng.normal(0, spread, _WORDS)
    codes = np.arange(_WORDS)
    other = sum((3 - (codes >> 2 * place & 3)) << 2 * (_ORDER - place) for place in range(_ORDER + 1))
    weights = np.exp(logs[np.minimum(codes, other)]).reshape(_CONTEXTS, 4)
    following = (np.arange(_CONTEXTS)[:, None] * 4 + np.arange(4)) % _CONTEXTS
    ahead = np.ones(_CONTEXTS)
    for _ in range(_ROUNDS):
        ahead = (weights * ahead[following]).sum(axis=1)
        ahead /= ahead.sum()
    shares = weights * ahead[following]
    shares /= shares.sum(axis=1, keepdims=True)
    contexts = np.full(_CONTEXTS, 1 / _CONTEXTS)
    for _ in range(_ROUNDS):
        contexts = np.bincount(following.ravel(), (contexts[:, None] * shares).ravel(), _CONTEXTS)
    return BaseChain(shares, contexts / contexts.sum())
