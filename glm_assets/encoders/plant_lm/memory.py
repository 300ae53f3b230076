"""The bucket matrix: a row for each token of the vocabulary, filled from what was seen, outside of the gradient.

An update has two halves. `statistics` are sums and counts of a batch, which add up over micro-batches and over
processes; `update` changes the matrices by them. Processes with equal statistics keep equal matrices. A batch must
be predicted before the memory is updated by it, never after.

Rules (u a token; its occurrences in the batch are those where `valid` is true):

- `sum`: M[u] grows by the position table's row of every occurrence.
- `ema`: the vector of an occurrence is the mean of the position table's rows over its window, and
  M[u] = (1 - r) M[u] + r mean, the mean over the occurrences; r is `memory_rate`.
- `content`: the vector of an occurrence says what the token is and what comes after it: unit(E[u]) + half-turn of
  unit(E[next]), E the token table and the half-turn a roll of the channels by d / 2, which keeps the two apart. An
  occurrence at the end of a window has no next token and is none. M[u] moves as by `ema`, but with
  r = max(memory_rate, n / (n + all before)): a true mean at first, so that it does not creep up from zero.

After every `normalise_steps` updates the rows are divided by their L2 norms; rows of zeros stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from glm_assets.encoders.plant_lm.config import PlantLmConfig


@dataclass(frozen=True)
class MemoryStatistics:
    """What a batch adds; the sum of two is what both add.

    Attributes:
        sums: (matrices, V, d) float32 sums of the vectors of a token's occurrences.
        counts: (matrices, V) float32, how many they are.
    """

    sums: Tensor
    counts: Tensor

    def __add__(self, other: MemoryStatistics) -> MemoryStatistics:
        return MemoryStatistics(self.sums + other.sums, self.counts + other.counts)


class BucketMemory(nn.Module):
    """The bucket matrices of a network, all zeros at first.

    Args:
        config: Of a network with memory.
    """

    matrix: Tensor
    counts: Tensor
    updates: Tensor

    def __init__(self, config: PlantLmConfig) -> None:
        super().__init__()
        self.config = config
        zeros = torch.zeros(config.matrices, config.vocabulary, config.width)
        if config.memory_is_trained:
            self.matrix = nn.Parameter(zeros)
        else:
            self.register_buffer("matrix", zeros)
        self.register_buffer("counts", torch.zeros(config.matrices, config.vocabulary, dtype=torch.int64))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def index(self, species: Tensor) -> Tensor:
        """(b,) the number of each species' matrix."""
        return species if self.config.memory_per_species else torch.zeros_like(species)

    def read(self, species: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The matrices (V, d) that a batch of species (b,) needs, each with the rows of the batch that it is for.

        Rows of `content` are scaled to a variance of one, whatever the scale of their last normalisation.
        """
        index = self.index(species)
        present = index.unique().tolist() if self.config.matrices > 1 else [0]
        return [(self._scaled(self.matrix[one]), (index == one).nonzero()[:, 0]) for one in present]

    def _scaled(self, matrix: Tensor) -> Tensor:
        if self.config.memory != "content":
            return matrix
        return nn.functional.layer_norm(matrix, matrix.shape[-1:])

    @torch.no_grad()
    def statistics(
        self,
        tokens: Tensor,
        positions: Tensor,
        species: Tensor,
        *,
        token_table: Tensor,
        position_table: Tensor,
        valid: Tensor | None = None,
    ) -> MemoryStatistics:
        """What a batch adds.

        Args:
            tokens: (b, L) int64.
            positions: (b, L) int64, rows of the position table.
            species: (b,) int64.
            token_table: (V, d).
            position_table: (positions, d).
            valid: (b, L), true where a token is and false where padding is; all true by default.
        """
        valid = torch.ones_like(tokens, dtype=torch.bool) if valid is None else valid.bool()
        if self.config.memory == "content":
            vectors = _followed(tokens, token_table.float())
            tokens, valid = tokens[:, :-1], valid[:, :-1] & valid[:, 1:]
        else:
            vectors = position_table.float()[positions]
            if self.config.memory == "ema":
                vectors = _window_means(vectors, valid)
        rows = self.index(species)[:, None] * self.config.vocabulary + tokens
        sums = _summed_rows(self.matrix.flatten(0, 1), rows[valid], vectors[valid])
        counts = torch.bincount(rows[valid], minlength=sums.shape[0]).float()
        return MemoryStatistics(sums.view_as(self.matrix), counts.view_as(self.counts))

    @torch.no_grad()
    def update(self, statistics: MemoryStatistics) -> None:
        """Update the matrices, after the batch (of all processes) was predicted."""
        counts = statistics.counts[..., None]
        if self.config.memory == "sum":
            self.matrix += statistics.sums
        else:
            rate = self._rate(counts)
            mean = statistics.sums / counts.clamp(min=1)
            self.matrix += torch.where(counts > 0, rate * (mean - self.matrix), 0.0)
        self.counts += statistics.counts.long()
        self.updates += 1
        if int(self.updates) % self.config.normalise_steps == 0:
            self.matrix.copy_(normalize(self.matrix, dim=-1))

    def _rate(self, counts: Tensor) -> Tensor | float:
        if self.config.memory == "ema":
            return self.config.memory_rate
        share = counts / (counts + self.counts[..., None]).clamp(min=1)
        return share.clamp(min=self.config.memory_rate)


def _window_means(vectors: Tensor, valid: Tensor) -> Tensor:
    """(b, L, d): at each token the mean of the vectors of its window."""
    kept = vectors.masked_fill(~valid[..., None], 0.0)
    means = kept.sum(dim=1) / valid.sum(dim=1, keepdim=True).clamp(min=1)
    return means[:, None].expand_as(vectors)


def _followed(tokens: Tensor, table: Tensor) -> Tensor:
    """(b, L - 1, d): what each token is and what comes after it."""
    own, after = normalize(table[tokens[:, :-1]], dim=-1), normalize(table[tokens[:, 1:]], dim=-1)
    return own + after.roll(table.shape[-1] // 2, dims=-1)


def _summed_rows(like: Tensor, rows: Tensor, vectors: Tensor) -> Tensor:
    """Zeros of a shape, with vectors (n, d) added at rows (n,), in the same order every time."""
    sums = torch.zeros_like(like)
    if sums.is_cuda:  # where index_add_ adds in any order, and this sorts first
        return sums.index_put_((rows,), vectors, accumulate=True)
    return sums.index_add_(0, rows, vectors)
