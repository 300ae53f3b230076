"""The plant language model of one species, as those who score, draw and judge sequences know it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glm_assets.encoders.plant_lm.config import PlantLmConfig
from glm_assets.encoders.plant_lm.network import PlantLm
from glm_assets.encoders.tokenizers.kmer import KmerTokenizer
from glm_assets.errors import SettingsError


class PlantLanguageModel:
    """A `LanguageModel` of k-mers.

    Args:
        network: Trained; it is put in evaluation mode and on the device.
        species: Whose embedding and memory are used: a name of its configuration.
        device: `cpu` or `cuda:N`.
        memory: Whether the bucket matrix is read.
        context: Longest sequence in tokens, up to the positions of its table; those of a training window by default.
            A decoder reads no more tokens back than a training window has, however long the sequence becomes.

    Raises:
        EncoderError: It does not know the species.
        SettingsError: The context is longer than the table of positions.
    """

    start_id = None

    def __init__(
        self,
        network: PlantLm,
        *,
        species: str,
        device: str = "cpu",
        memory: bool = True,
        context: int | None = None,
    ) -> None:
        config = network.config
        if context is not None and context > config.positions:
            raise SettingsError(
                f"sequences of {context:,} tokens are longer than the plant language model's table of positions",
                expected=f"at most {config.positions:,} tokens",
            )
        self.network = network.to(device).eval()
        self.species = species
        self.device = device
        self.memory = memory and config.memory != "none"
        self.context = context or config.context
        self.vocabulary_size = config.vocabulary
        self.bases_per_token = config.k
        self._index = config.species_index(species)
        self._tokenizer = KmerTokenizer(config.k)

    @property
    def name(self) -> str:
        """What it is called in tables and messages."""
        return f"plant_lm {self.species}" + ("" if self.memory else " without memory")

    @property
    def config(self) -> PlantLmConfig:
        """The network's shape."""
        return self.network.config

    @property
    def sequence_ids(self) -> NDArray[np.int64]:
        """(4^k,): every token spells bases."""
        return np.arange(self.vocabulary_size)

    def encode(self, sequence: str) -> NDArray[np.int64]:
        """(L,) ids of a sequence's k-mers, those with other letters than A, C, G and T left out."""
        return self._tokenizer.encode([sequence])[0].astype(np.int64)

    def decode(self, ids: Sequence[int] | NDArray[np.integer]) -> str:
        """The bases that ids spell."""
        return self._tokenizer.decode(np.asarray(ids))

    def logits(self, ids: Tensor) -> Tensor:
        """(b, L, V) float32 for ids (b, L) int64, at positions 0 to L - 1; row i is about token i + 1."""
        return self._logits(ids, first=0)

    def decoder(self, prompts: Tensor) -> PlantDecoder:
        """Begin to draw after prompts (b, L) of equal length."""
        return PlantDecoder(self, prompts)

    def logits_after(self, ids: Tensor) -> Tensor:
        """(b, V) float32 of the token after ids (b, L), from the last tokens of them that a training window holds.

        Whole windows of the local attention are left out, so that the original's blocks stay where they were.
        """
        window = self.config.window
        beyond = ids.shape[1] - max(self.config.context, window)
        first = max(0, -(-beyond // window) * window)
        return self._logits(ids[:, first:], first)[:, -1]

    def _logits(self, ids: Tensor, first: int) -> Tensor:
        ids = ids.to(self.device)
        positions = torch.arange(first, first + ids.shape[1], device=self.device).expand_as(ids)
        species = torch.full((len(ids),), self._index, device=self.device)
        return self.network(ids, positions, species, memory=self.memory).float()


class PlantDecoder:
    """A plant language model that goes on after prompts; each step reads the last window again.

    Args:
        model: The model.
        prompts: (b, L) int64.
    """

    def __init__(self, model: PlantLanguageModel, prompts: Tensor) -> None:
        self._model = model
        self._ids = prompts
        self._next = self._read()

    @property
    def logits(self) -> Tensor:
        """(b, V) float32 of each sequence's next token."""
        return self._next

    def advance(self, tokens: Tensor) -> None:
        """Read the next token (b,) of each sequence."""
        self._ids = torch.cat([self._ids, tokens[:, None].to(self._ids)], dim=1)
        self._next = self._read()

    @torch.inference_mode()
    def _read(self) -> Tensor:
        return self._model.logits_after(self._ids)
