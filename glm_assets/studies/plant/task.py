"""Training the plant language model: windows of all species mixed, and a memory that follows each step.

Importing this module imports torch.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glm_assets.encoders.plant_lm.memory import MemoryStatistics
from glm_assets.encoders.plant_lm.network import PlantLm
from glm_assets.errors import TrainingError
from glm_assets.language.loss import language_figures
from glm_assets.language.task import LanguageTask, TokenBatch
from glm_assets.language.windows import TokenWindows, WindowBatch
from glm_assets.studies.plant.sampling import SpeciesPlan
from glm_assets.training.batches import Planned
from glm_assets.training.distributed import ALONE, Ranks

Rows = NDArray[np.int64]


class SpeciesWindows:
    """The windows of several genomes, one genome's after the other's.

    `block` of a batch counts the segments of all genomes on in the same way: `species_of` undoes it.

    Args:
        windows: By species, in the order of their numbers.
    """

    def __init__(self, windows: Sequence[TokenWindows]) -> None:
        self.windows = tuple(windows)
        self.counts = np.array([len(each) for each in windows], np.int64)
        self.firsts = np.cumsum(self.counts) - self.counts
        segments = np.array([each.store.segments.height for each in windows], np.int64)
        self.first_segments = np.cumsum(segments) - segments

    def __len__(self) -> int:
        return int(self.counts.sum())

    def species_of_rows(self, rows: Rows) -> Rows:
        """(n,) the species of each window."""
        return np.searchsorted(self.firsts, rows, side="right") - 1

    def take(self, rows: Rows) -> WindowBatch:
        """Some of them, in the order asked for."""
        species = self.species_of_rows(rows)
        numbers = np.unique(species).tolist()
        batches = [self._of(number, rows[species == number]) for number in numbers]
        back = np.argsort(np.concatenate([np.flatnonzero(species == number) for number in numbers]))

        def joined(name: str) -> NDArray:
            return np.concatenate([getattr(batch, name) for batch in batches])[back]

        return WindowBatch(*map(joined, ("inputs", "targets", "weights", "positions", "block")))

    def _of(self, species: int, rows: Rows) -> WindowBatch:
        batch = self.windows[species].take(rows - self.firsts[species])
        return replace(batch, block=batch.block + self.first_segments[species])


class PlantTask(LanguageTask):
    """A plant language model and the windows of its species, as the training loop wants them.

    Args:
        model: The network, on the device.
        train: What it learns from.
        val: What judges it, as many windows of each species as there are.
        plan: Which training windows each epoch has.
        batch_size: Windows in a forward pass.
        label_smoothing: Share of a target's probability that is spread over all; while training only.
        ranks: The processes that train together.
        device: Where the model is.
        validation_windows: Most windows that are looked at, of all species together.
        micro_batches: Forward passes of an epoch, over all processes.
        seed: Of the order of windows.

    Raises:
        TrainingError: A split has no window.
    """

    model: PlantLm
    train: SpeciesWindows
    val: SpeciesWindows

    def __init__(
        self,
        model: PlantLm,
        train: SpeciesWindows,
        val: SpeciesWindows,
        plan: SpeciesPlan,
        *,
        batch_size: int,
        label_smoothing: float = 0.0,
        ranks: Ranks = ALONE,
        device: str = "cpu",
        validation_windows: int,
        micro_batches: int,
        seed: int,
    ) -> None:
        super().__init__(
            model,
            train,
            val,
            batch_size=batch_size,
            bases_per_token=model.config.k,
            label_smoothing=label_smoothing,
            ranks=ranks,
            device=device,
            validation_windows=validation_windows,
            micro_batches=micro_batches,
            seed=seed,
        )
        self._plan = plan
        self._first_segments = torch.from_numpy(train.first_segments).to(device)
        self._judged = _spaced(val, validation_windows)
        self._in_epoch = 0

    def batches(self, epoch: int) -> Planned[TokenBatch]:
        """The epoch's windows, of all species in every batch."""
        super().batches(epoch)
        self._in_epoch = self._tokens
        draws = self._plan.epoch(epoch)
        rows = draws.windows + self.train.firsts[draws.species]
        batches = rows.reshape(self._micro_batches, self._batch_size)
        return Planned(list(batches), lambda of: TokenBatch.of(self.train.take(of), self._device))

    def logits(self, batch: TokenBatch) -> Tensor:
        """(b, L, V), each window read as its species."""
        return self.model(batch.inputs, batch.positions, self._species(batch))

    def after_step(self, batches: Sequence[TokenBatch]) -> None:
        """Fill the memory with what all processes have read, alike in all of them."""
        memory = self.model.memory
        if memory is None:
            return
        nothing = MemoryStatistics(
            torch.zeros_like(memory.matrix), torch.zeros_like(memory.counts, dtype=torch.float32)
        )
        own = reduce(MemoryStatistics.__add__, map(self._statistics, batches), nothing)
        self.model.update_memory(MemoryStatistics(self._ranks.total(own.sums), self._ranks.total(own.counts)))

    def validate(self, epoch: int) -> dict[str, float]:  # noqa: ARG002
        """Figures of all validation windows together, and the bits per base of each species'."""
        share = self._judged[self._ranks.share(len(self._judged))]
        sums = self._ranks.gather(self._sums(share))
        species = self.val.species_of_rows(self._judged)
        figures = language_figures(_mean(sums), self._bases)
        by_species = {
            f"bits_per_base_{name}": language_figures(_mean(sums[species == number]), self._bases)["bits_per_base"]
            for number, name in enumerate(self.model.config.species)
        }
        return {**figures, **by_species, "score": -figures["loss"]}

    def state(self) -> Mapping[str, Tensor]:
        """Parameters, and the memory."""
        return self.model.state_dict()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        self.model.load_state_dict(state, strict=True)

    @property
    def pace(self) -> float:
        """Tokens a second of all processes in this epoch, so far."""
        seconds = time.monotonic() - self._begun
        return (self._tokens - self._in_epoch) * self._ranks.size / seconds if seconds else 0.0

    def _species(self, batch: TokenBatch) -> Tensor:
        return torch.bucketize(batch.block, self._first_segments, right=True) - 1

    def _statistics(self, batch: TokenBatch) -> MemoryStatistics:
        return self.model.memory_statistics(batch.inputs, batch.positions, self._species(batch))


def _spaced(windows: SpeciesWindows, most: int) -> Rows:
    """Evenly spaced windows, equally many of each species where it has them."""
    each = max(1, most // len(windows.counts))
    parts = []
    for first, count in zip(windows.firsts.tolist(), windows.counts.tolist(), strict=True):
        taken = min(count, each)
        parts.append(first + np.arange(taken, dtype=np.int64) * count // taken)
    return np.concatenate(parts)


def _mean(sums: NDArray[np.float64]) -> float:
    total, weight = sums.sum(axis=0).tolist()
    if not weight:
        raise TrainingError("no token of the validation windows counts", fix="look at more validation windows")
    return total / weight
