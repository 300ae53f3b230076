"""Windows of tokens without a store, and a model that is quick to train."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glm_assets.language.windows import WindowBatch


@dataclass
class Windows:
    """Windows cut out of one long run of tokens, and a note of which were taken.

    Attributes:
        tokens: (n,) ids.
        context: Tokens of a window.
        weights: (n,) of each token as a target; all count without it.
    """

    tokens: NDArray[np.int64]
    context: int
    weights: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        self.taken: list[int] = []

    def __len__(self) -> int:
        return (len(self.tokens) - 1) // self.context

    def take(self, rows: NDArray[np.integer]) -> WindowBatch:
        self.taken += rows.tolist()
        places = rows[:, None] * self.context + np.arange(self.context + 1)
        weights = np.ones(len(self.tokens), np.float32) if self.weights is None else self.weights
        return WindowBatch(
            self.tokens[places[:, :-1]],
            self.tokens[places[:, 1:]],
            weights[places[:, 1:]],
            places[:, :-1],
            np.zeros(len(rows), np.int64),
        )


def markov_genome(bases: int, *, order: int = 3, seed: int = 0, sharpness: float = 0.5) -> NDArray[np.int64]:
    """(n,) bytes of bases, each drawn from what the `order` before it make likely."""
    generator = np.random.default_rng(seed)
    table = generator.dirichlet([sharpness] * 4, size=4**order).cumsum(axis=1)
    codes, draws = [0] * order, generator.random(bases)
    context = 0
    for draw in draws:
        code = min(3, int(np.searchsorted(table[context], draw)))
        codes.append(code)
        context = (context * 4 + code) % 4**order
    return np.frombuffer(b"ACGT", np.uint8).astype(np.int64)[np.array(codes[order:])]
