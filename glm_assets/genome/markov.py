"""Markov models of DNA: what the few bases before a base tell of it; the baseline that a language model must beat.

A model of order k interpolates all orders down to the uniform one, so that a context too rare to tell anything leaves
the word to the shorter one:

    p_j(b | c) = (n(c, b) + s_j p_(j-1)(b | c')) / (n(c) + s_j),   p_(-1) = 1/4

for a context c of j bases, c' without its first. This is the mean under a Dirichlet prior centred on the shorter
context's estimate, as in MacKay and Peto's hierarchical language model. The weight s_j of each order is that of a fixed
grid under which the counted bases, each left out of all counts in its turn, are likeliest: nothing is set by hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import FormatError, SettingsError
from glm_assets.genome.alphabet import UNKNOWN_ID, encode_ids, upper

MAX_ORDER: Final = 10
"""4^11 counts are 32 MiB."""

_WEIGHTS: Final = tuple(float(2**power) for power in range(-2, 13))


class MarkovCounts:
    """How often each base follows each context, of all orders up to one; added to block by block.

    Args:
        order: Longest context in bases, 0 to `MAX_ORDER`.

    Raises:
        SettingsError: The order is out of range.
    """

    def __init__(self, order: int) -> None:
        if not 0 <= order <= MAX_ORDER:
            raise SettingsError(f"a Markov model of order {order}", expected=f"0 to {MAX_ORDER}")
        self.order = order
        self.counts = [np.zeros((4**length, 4), dtype=np.int64) for length in range(order + 1)]

    def add(self, bases: NDArray[np.uint8]) -> None:
        """Count a block.

        Args:
            bases: (n,) ASCII; lower case counts as the base it stands for. No context spans the block's start or a
                letter other than A, C, G and T.
        """
        ids, known_before = _read(bases)
        context = np.zeros(len(ids), dtype=np.int64)
        for length, counts in enumerate(self.counts):
            _lengthen(context, ids, length)
            places = (known_before >= length) & (ids != UNKNOWN_ID)
            np.add.at(counts.reshape(-1), context[places] * 4 + ids[places], 1)

    def model(self, order: int | None = None) -> MarkovModel:
        """The model of these counts.

        Args:
            order: Of the model, at most that of the counts; None: that of the counts.

        Raises:
            SettingsError: The counts are of a smaller order.
        """
        order = self.order if order is None else order
        if not 0 <= order <= self.order:
            raise SettingsError(f"a model of order {order} of counts of order {self.order}")
        shorter = left_out = np.full((1, 4), 0.25)
        tables, weights = [], []
        for counts in self.counts[: order + 1]:
            weight = _likeliest_weight(counts, left_out)
            shorter, left_out = _blend(counts, shorter, weight), _left_out(counts, left_out, weight)
            tables.append(np.log(shorter))
            weights.append(weight)
        return MarkovModel(tuple(tables), tuple(weights))


@dataclass(frozen=True)
class MarkovModel:
    """Probabilities of the next base.

    Attributes:
        tables: For each length j of context, (4^j, 4) float64 natural logarithms; the context's bases are digits of
            base 4, the one furthest away first.
        weights: s_j of each order.
    """

    tables: tuple[NDArray[np.float64], ...]
    weights: tuple[float, ...]

    @property
    def order(self) -> int:
        """Longest context in bases."""
        return len(self.tables) - 1

    def log_probabilities(self, bases: NDArray[np.uint8]) -> NDArray[np.float64]:
        """How probable each base of a block is, given those before it in the block.

        Args:
            bases: (n,) ASCII. A base with fewer known bases before it than the order is judged by those.

        Returns:
            (n,) natural logarithms; NaN for letters other than A, C, G and T.
        """
        ids, known_before = _read(bases)
        used = np.minimum(known_before, self.order)
        used[ids == UNKNOWN_ID] = -1
        context = np.zeros(len(ids), dtype=np.int64)
        result = np.full(len(ids), np.nan)
        for length, table in enumerate(self.tables):
            _lengthen(context, ids, length)
            places = np.flatnonzero(used == length)
            result[places] = table[context[places], ids[places]]
        return result

    def bits_per_base(self, blocks: Iterable[NDArray[np.uint8]]) -> float:
        """Mean of -log2 p over the known bases of all blocks.

        Raises:
            FormatError: No base is A, C, G or T.
        """
        total, known = 0.0, 0
        for block in blocks:
            logs = self.log_probabilities(block)
            judged = logs[~np.isnan(logs)]
            total += float(judged.sum())
            known += len(judged)
        if not known:
            raise FormatError("no base to judge a Markov model by", expected="at least one A, C, G or T")
        return -total / known / float(np.log(2))


def _read(bases: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Ids (n,), and how many known bases in a row lie before each place (n,)."""
    ids = encode_ids(upper(bases))
    places = np.arange(len(ids) + 1, dtype=np.int64)
    after_unknown = np.zeros(len(ids) + 1, dtype=np.int64)
    after_unknown[1:] = np.where(ids == UNKNOWN_ID, places[1:], 0)
    return ids, (places - np.maximum.accumulate(after_unknown))[:-1]


def _lengthen(context: NDArray[np.int64], ids: NDArray[np.uint8], length: int) -> None:
    """Put the base that lies `length` before each place in front of its context, in place."""
    if length:
        context[length:] += ids[:-length].astype(np.int64) << 2 * (length - 1)


def _blend(counts: NDArray[np.int64], shorter: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """p_j of all contexts, (4^j, 4)."""
    total = counts.sum(axis=1, keepdims=True)
    return (counts + weight * _spread(shorter, counts)) / (total + weight)


def _left_out(counts: NDArray[np.int64], shorter: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """p_j of a base that was counted, were it not: also not in the shorter contexts' counts, as `shorter` has it."""
    total = counts.sum(axis=1, keepdims=True)
    return (np.maximum(counts - 1, 0) + weight * _spread(shorter, counts)) / (np.maximum(total - 1, 0) + weight)


def _spread(shorter: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The shorter context's probabilities for each context: those that differ in the first base alone share them."""
    return np.tile(shorter, (len(counts) // len(shorter), 1))


def _likeliest_weight(counts: NDArray[np.int64], left_out: NDArray[np.float64]) -> float:
    """The weight of the grid under which the counted bases are likeliest, each left out of the counts."""
    context, base = np.nonzero(counts)
    times, of_context = counts[context, base], counts.sum(axis=1)[context]
    shorter = left_out[context % len(left_out), base]

    def likelihood(weight: float) -> float:
        return float((times * np.log((times - 1 + weight * shorter) / (of_context - 1 + weight))).sum())

    return max(_WEIGHTS, key=likelihood)
