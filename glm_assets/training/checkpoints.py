"""Checkpoints of a training: a weights file per epoch, and what it takes to go on after a kill.

Importing this module imports torch.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from glm_assets.errors import CheckpointError
from glm_assets.storage.atomic import atomic_path, file_digest
from glm_assets.training.seeding import rng_state

_RESUME_FILE = "resume.pt"


@dataclass(frozen=True)
class EpochRecord:
    """What is known of a finished epoch.

    Attributes:
        epoch: Counted from 1.
        learning_rate: Of its last step.
        train: Mean over its batches, or over their items, of the loss and of each term.
        validation: Figures after it; `score` chooses checkpoints, larger is better.
        sha256: Digest of its weights file.
    """

    epoch: int
    learning_rate: float
    train: dict[str, float]
    validation: dict[str, float]
    sha256: str

    @property
    def score(self) -> float:
        """The figure checkpoints are chosen by."""
        return self.validation["score"]


def ranked(history: list[EpochRecord]) -> list[EpochRecord]:
    """Epochs by score, best first; equal scores in order of epoch."""
    return sorted(history, key=lambda record: -record.score)


@dataclass(frozen=True)
class Position:
    """How far an epoch got that is not finished.

    Attributes:
        epoch: Counted from 1.
        batches: Its micro-batches that all processes together have trained on.
        steps: Its steps of the optimiser.
        learning_rate: Of the last of them.
        totals: Sums of the scalars so far, by name.
        weight: Sum of the weights so far.
        rng: The random generators before its batches were drawn.
        processes: How many trained; its steps are of as many micro-batches times the accumulation.
        sha256: Digest of its weights file.
    """

    epoch: int
    batches: int
    steps: int
    learning_rate: float
    totals: dict[str, Tensor]
    weight: Tensor | float
    rng: dict[str, Any]
    processes: int
    sha256: str


@dataclass(frozen=True)
class Saved:
    """Where a training stands.

    Attributes:
        history: The epochs that count.
        state: What else its next step depends on, as `Steps.state` gave it.
        rng: The random generators.
        position: How far it got in the epoch after those; None at its start.
        weights: File of the weights.
    """

    history: list[EpochRecord]
    state: dict[str, Any]
    rng: dict[str, Any]
    position: Position | None
    weights: Path


class CheckpointFolder:
    """The working folder of one training.

    An epoch counts once its resume file is in place, which is replaced atomically after the weights, and so does a
    part of an epoch. A killed training therefore goes on after the last one that counts, and ends as if it had never
    stopped.

    Args:
        folder: Made if needed.
        key: Digest of everything the training is a function of.
        keep: How many epochs' weights are kept, by score; None for all. The newest is there too until `finish`.
    """

    def __init__(self, folder: Path, *, key: str, keep: int | None = None) -> None:
        self.folder = folder
        self.key = key
        self.keep = keep
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in [*folder.glob(".*.safetensors"), *folder.glob(".*.pt")]:  # of a write that was killed
            leftover.unlink(missing_ok=True)

    def weights(self, epoch: int) -> Path:
        """Where an epoch's weights lie."""
        return self.folder / f"epoch_{epoch:03d}.safetensors"

    def part_weights(self, epoch: int, steps: int) -> Path:
        """Where the weights after some steps of an epoch lie, until the next ones are written."""
        return self.folder / f"part_{epoch:03d}_{steps}.safetensors"

    def kept(self, history: list[EpochRecord]) -> list[EpochRecord]:
        """Epochs whose weights are kept, best first."""
        return ranked(history)[: self.keep]

    def save_weights(self, path: Path, state: Mapping[str, Tensor]) -> str:
        """Write weights and return their SHA-256."""
        with atomic_path(path) as temporary:
            save_file(_apart(state), temporary)
        return file_digest(path)

    def commit(
        self, history: list[EpochRecord], state: Mapping[str, Any], position: Position | None = None
    ) -> None:
        """Make the newest epoch or part of one count, then drop weights not kept.

        Args:
            history: The epochs that count, the newest one's weights having been written.
            state: What the next step depends on, besides weights and random generators.
            position: How far the epoch after those got, its weights having been written.
        """
        resume = {
            "key": self.key,
            "history": json.dumps([asdict(record) for record in history]),
            **state,
            "rng": rng_state(),
        }
        if position:
            resume["position"] = vars(position)
        with atomic_path(self.folder / _RESUME_FILE) as temporary:
            torch.save(resume, temporary)
        wanted = {self.weights(record.epoch) for record in [*self.kept(history), *history[-1:]]}
        self._prune(wanted | ({self.part_weights(position.epoch, position.steps)} if position else set()))

    def read(self, processes: int = 1) -> Saved | None:
        """Where the training stands; None when there is nothing to go on from.

        Args:
            processes: How many are to go on with it.

        Raises:
            CheckpointError: The folder belongs to another training, or is damaged, or another number of processes left
                it within an epoch.
        """
        path = self.folder / _RESUME_FILE
        if not path.exists():
            return None
        state = self._read(path)
        if state.pop("key") != self.key:
            raise CheckpointError(
                f"{self.folder} holds a training of another recipe, data or teacher", fix="delete that folder"
            )
        history = [EpochRecord(**record) for record in json.loads(state.pop("history"))]
        for record in self.kept(history):
            self._require_intact(self.weights(record.epoch), record.sha256)
        position = Position(**state.pop("position")) if "position" in state else None
        self._require_processes(position, processes)
        weights = (
            self.part_weights(position.epoch, position.steps) if position else self.weights(history[-1].epoch)
        )
        return Saved(history, state, state.pop("rng"), position, weights)

    def read_weights(self, saved: Saved) -> dict[str, Tensor]:
        """The weights to go on from.

        Raises:
            CheckpointError: They are missing or damaged.
        """
        newest = saved.position or saved.history[-1]
        self._require_intact(saved.weights, newest.sha256)
        return load_file(saved.weights)

    def finish(self, history: list[EpochRecord]) -> None:
        """Leave only the weights that are kept."""
        self._prune({self.weights(record.epoch) for record in self.kept(history)})

    def _prune(self, wanted: set[Path]) -> None:
        for path in [*self.folder.glob("epoch_*.safetensors"), *self.folder.glob("part_*.safetensors")]:
            if path not in wanted:
                path.unlink()

    def _require_intact(self, path: Path, sha256: str) -> None:
        if not path.is_file() or file_digest(path) != sha256:
            raise CheckpointError(f"{path} is missing or damaged", fix=f"delete {self.folder}")

    def _require_processes(self, position: Position | None, processes: int) -> None:
        """Refuse to go on within an epoch in steps of other sizes."""
        if position and position.processes != processes:
            raise CheckpointError(
                f"{self.folder} holds a training that stands within epoch {position.epoch}, "
                f"and {processes} processes are to go on with it",
                expected=f"{position.processes}, as before: a step takes micro-batches of each",
                fix=f"train with {position.processes}, or delete that folder to begin anew",
            )

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise CheckpointError(f"{path} is damaged: {error}", fix=f"delete {self.folder}") from error


def _apart(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that share no memory, which is how a file holds them; tied weights are written twice."""
    seen: set[int] = set()
    apart = {}
    for name, value in state.items():
        memory = value.untyped_storage().data_ptr()
        apart[name] = (value.clone() if memory in seen else value).contiguous()
        seen.add(memory)
    return apart
