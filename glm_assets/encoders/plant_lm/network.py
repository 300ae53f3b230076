"""The plant language model: embeddings, layers of local attention, memory and feed-forward, and logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from glm_assets.encoders.plant_lm.attention import LocalAttention, MemoryAttention
from glm_assets.encoders.plant_lm.config import PlantLmConfig
from glm_assets.encoders.plant_lm.memory import BucketMemory, MemoryStatistics
from glm_assets.errors import EncoderError

EMBEDDING_DEVIATION = 0.02

Matrices = Sequence[tuple[Tensor, Tensor]]


class PlantLayer(nn.Module):
    """Three parts, each added to its input and normalised after: LN(x + part(x)).

    Args:
        config: Of the network.
    """

    def __init__(self, config: PlantLmConfig) -> None:
        super().__init__()
        width = config.width
        self.local = LocalAttention(width, config.heads, config.window, config.local, config.dropout)
        self.local_norm = nn.LayerNorm(width)
        self.recall, self.recall_norm = None, None
        if config.memory != "none":
            self.recall = MemoryAttention(width, config.heads, config.dropout)
            self.recall_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(4 * width, width)
        )
        self.feed_forward_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, matrices: Matrices | None) -> Tensor:
        """(b, L, d) to (b, L, d); without matrices the memory adds nothing, and its norm stays in place."""
        x = self.local_norm(x + self.local(x))
        if self.recall is not None and self.recall_norm is not None:
            x = self.recall_norm(x if matrices is None else x + self.recall(x, matrices))
        return self.feed_forward_norm(x + self.feed_forward(x))


class PlantLm(nn.Module):
    """A causal language model of k-mers.

    Args:
        config: Its shape.
    """

    def __init__(self, config: PlantLmConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Embedding(config.positions, config.width)
        self.species = nn.Embedding(len(config.species), config.width)
        self.layers = nn.ModuleList(PlantLayer(config) for _ in range(config.layers))
        self.final_norm = nn.LayerNorm(config.width)
        self.output = None if config.tied else nn.Linear(config.width, config.vocabulary)
        self.output_bias = nn.Parameter(torch.zeros(config.vocabulary)) if config.tied else None
        self.memory = BucketMemory(config) if config.memory != "none" else None
        self.apply(_initialise)

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor | None = None,
        species: Tensor | None = None,
        *,
        memory: bool = True,
    ) -> Tensor:
        """Logits of the token after each.

        Args:
            tokens: (b, L) int64.
            positions: (b, L) int64, any not negative: they wrap at the table's end; 0 to L - 1 by default.
            species: (b,) int64; the first by default.
            memory: Whether the bucket matrix is read, where there is one.

        Returns:
            (b, L, V).
        """
        x = self.final_norm(self._layers(tokens, positions, species, memory, len(self.layers)))
        return self.output(x) if self.output is not None else linear(x, self.tokens.weight, self.output_bias)

    def hidden(
        self,
        tokens: Tensor,
        positions: Tensor | None = None,
        species: Tensor | None = None,
        *,
        layer: int | None = None,
        memory: bool = True,
    ) -> Tensor:
        """Activations (b, L, d) after a layer, counted from 0, or after the final norm; deeper ones are not computed.

        The other arguments are those of `forward`.
        """
        if layer is None:
            return self.final_norm(self._layers(tokens, positions, species, memory, len(self.layers)))
        return self._layers(tokens, positions, species, memory, layer + 1)

    def memory_statistics(
        self, tokens: Tensor, positions: Tensor, species: Tensor, valid: Tensor | None = None
    ) -> MemoryStatistics:
        """What a batch adds to the memory, for `update_memory` after the optimiser's step.

        Args:
            tokens: (b, L) int64, as given to `forward`.
            positions: (b, L) int64, likewise.
            species: (b,) int64.
            valid: (b, L), false where there is padding.

        Raises:
            EncoderError: The network has no memory.
        """
        return self._memory().statistics(
            tokens,
            positions % self.config.positions,
            species,
            token_table=self.tokens.weight,
            position_table=self.positions.weight,
            valid=valid,
        )

    def update_memory(self, statistics: MemoryStatistics) -> None:
        """Fill the memory with what batches add, once they were predicted.

        Raises:
            EncoderError: The network has no memory.
        """
        self._memory().update(statistics)

    def _memory(self) -> BucketMemory:
        if self.memory is None:
            raise EncoderError("this plant language model has no memory", expected="model.memory other than none")
        return self.memory

    def _layers(
        self, tokens: Tensor, positions: Tensor | None, species: Tensor | None, memory: bool, depth: int
    ) -> Tensor:
        if positions is None:
            positions = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
        if species is None:
            species = torch.zeros_like(tokens[:, 0])
        x = self.tokens(tokens) + self.positions(positions % self.config.positions)
        x = x + self.species(species)[:, None]
        matrices = self.memory.read(species) if memory and self.memory is not None else None
        for layer in self.layers[:depth]:
            x = layer(x, matrices)
        return x


def parameter_count(config: PlantLmConfig) -> int:
    """Trainable parameters of a network of that shape, counted without making it."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in PlantLm(config).parameters())


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=EMBEDDING_DEVIATION)
