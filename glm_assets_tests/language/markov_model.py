"""A language model whose every number is in a table, for tests with exact answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch
from torch import Tensor

BYTES = 96
"""Enough for upper-case letters."""

START = 0


@cache
def drawn_table(seed: int) -> Tensor:
    draws = np.random.default_rng(seed).normal(0, 2, (BYTES, BYTES, BYTES))
    return torch.from_numpy(draws.astype(np.float32))


class MarkovDecoder:
    """Keeps the last tokens that it has read."""

    def __init__(self, model: MarkovModel, ids: Tensor) -> None:
        self._model, self._ids = model, ids

    @property
    def logits(self) -> Tensor:
        return self._model.logits(self._ids)[:, -1]

    def advance(self, tokens: Tensor) -> None:
        self._ids = torch.cat([self._ids[:, -1:], tokens[:, None]], dim=1)


@dataclass
class MarkovModel:
    """Of order 2 over bytes: the logits of what follows tokens (a, b) are `table[a, b]`; a is 0 before a first one."""

    name: str = "markov"
    device: str = "cpu"
    context: int = 1 << 20
    vocabulary_size: int = BYTES
    bases_per_token: int = 1
    start_id: int | None = START
    seed: int = 0
    shapes: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.table = drawn_table(self.seed)

    @property
    def sequence_ids(self):
        return np.frombuffer(b"ACGT", np.uint8).astype(np.int64)

    def encode(self, sequence: str):
        return np.frombuffer(sequence.encode("ascii"), np.uint8).astype(np.int64)

    def decode(self, ids):
        return bytes(int(each) for each in ids).decode("ascii")

    def logits(self, ids: Tensor) -> Tensor:
        self.shapes.append(tuple(ids.shape))
        before = torch.cat([torch.zeros_like(ids[:, :1]), ids[:, :-1]], dim=1)
        return self.table[before, ids]

    def decoder(self, prompts: Tensor) -> MarkovDecoder:
        return MarkovDecoder(self, prompts)

    def expected(self, sequence: str, *, start_token: bool) -> np.ndarray:
        """Log-probability of each base by a plain loop in float64; NaN of a first one without a token in front."""
        ids = ([START] if start_token else []) + list(sequence.encode("ascii"))
        found = [] if start_token else [float("nan")]
        for place in range(1, len(ids)):
            row = self.table[ids[place - 2] if place > 1 else 0, ids[place - 1]].double().numpy()
            found.append(row[ids[place]] - np.log(np.exp(row).sum()))
        return np.array(found)


class CountingModel(MarkovModel):
    """Its logits say how many tokens it has read: that of `A` is a twentieth of the number, all others are 0."""

    def logits(self, ids: Tensor) -> Tensor:
        logits = torch.zeros(*ids.shape, BYTES)
        logits[:, :, ord("A")] = torch.arange(1, ids.shape[1] + 1) / 20
        return logits


class PairModel(MarkovModel):
    """Reads two bases as one token, 16 where one is another letter; it has no token of a beginning."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.bases_per_token, self.start_id, self.vocabulary_size = 2, None, 17
        self.table = self.table[:17, :17, :17]

    @property
    def sequence_ids(self):
        return np.arange(16)

    def encode(self, sequence: str):
        pairs = [sequence[at : at + 2] for at in range(0, len(sequence) - 1, 2)]
        spelt = [
            4 * "ACGT".find(pair[0]) + "ACGT".find(pair[1]) if set(pair) <= set("ACGT") else 16 for pair in pairs
        ]
        return np.array(spelt, np.int64)

    def decode(self, ids):
        return "".join("ACGT"[each // 4] + "ACGT"[each % 4] for each in ids)
