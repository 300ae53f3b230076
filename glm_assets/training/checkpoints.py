"""Checkpoints of a training: one weights file per epoch, and what it takes to go on after a kill.

Importing this module imports torch.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from glm_assets.errors import CheckpointError
from glm_assets.storage.atomic import atomic_path, file_digest
from glm_assets.training.seeding import restore_rng_state, rng_state

_RESUME_FILE = "resume.pt"


@dataclass(frozen=True)
class EpochRecord:
    """What is known of a finished epoch.

    Attributes:
        epoch: Counted from 1.
        learning_rate: Of its steps.
        train: Mean over its steps of the loss and of each term.
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


class CheckpointFolder:
    """The working folder of one training.

    An epoch counts once its resume file is in place, which is replaced atomically after the weights. A killed
    training therefore goes on after the last epoch that counts, and ends as if it had never stopped.

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
            leftover.unlink()

    def weights(self, epoch: int) -> Path:
        """Where an epoch's weights lie."""
        return self.folder / f"epoch_{epoch:03d}.safetensors"

    def kept(self, history: list[EpochRecord]) -> list[EpochRecord]:
        """Epochs whose weights are kept, best first."""
        return ranked(history)[: self.keep]

    def save_weights(self, epoch: int, model: nn.Module) -> str:
        """Write an epoch's weights and return their SHA-256."""
        path = self.weights(epoch)
        with atomic_path(path) as temporary:
            save_file({key: value.contiguous() for key, value in model.state_dict().items()}, temporary)
        return file_digest(path)

    def commit(self, history: list[EpochRecord], optimizer: torch.optim.Optimizer) -> None:
        """Make the newest epoch count: store what is needed to go on from it, then drop weights not kept."""
        state = {
            "key": self.key,
            "history": json.dumps([asdict(record) for record in history]),
            "optimizer": optimizer.state_dict(),
            "rng": rng_state(),
        }
        with atomic_path(self.folder / _RESUME_FILE) as temporary:
            torch.save(state, temporary)
        self._prune({record.epoch for record in [*self.kept(history), history[-1]]})

    def resume(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> list[EpochRecord]:
        """Bring model, optimizer and random generators to where the last training stopped.

        Returns:
            The epochs done so far; empty when there is nothing to go on from.

        Raises:
            CheckpointError: The folder belongs to another training, or is damaged.
        """
        path = self.folder / _RESUME_FILE
        if not path.exists():
            return []
        state = self._read(path)
        if state["key"] != self.key:
            raise CheckpointError(
                f"{self.folder} holds a training of another recipe, data or teacher", fix="delete that folder"
            )
        history = [EpochRecord(**record) for record in json.loads(state["history"])]
        for record in [*self.kept(history), history[-1]]:
            self._require_intact(record)
        optimizer.load_state_dict(state["optimizer"])
        model.load_state_dict(load_file(self.weights(history[-1].epoch)), strict=True)
        restore_rng_state(state["rng"])
        return history

    def finish(self, history: list[EpochRecord]) -> None:
        """Leave only the weights that are kept."""
        self._prune({record.epoch for record in self.kept(history)})

    def _prune(self, epochs: set[int]) -> None:
        wanted = {self.weights(epoch) for epoch in epochs}
        for path in self.folder.glob("epoch_*.safetensors"):
            if path not in wanted:
                path.unlink()

    def _require_intact(self, record: EpochRecord) -> None:
        path = self.weights(record.epoch)
        if not path.is_file() or file_digest(path) != record.sha256:
            raise CheckpointError(f"{path} is missing or damaged", fix=f"delete {self.folder}")

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise CheckpointError(f"{path} is damaged: {error}", fix=f"delete {self.folder}") from error
