"""What a process must know to train its part of a classifier; JSON carries it to others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glm_assets.studies.metagenome.configuration import ModelSettings, TrainingSettings
from glm_assets.training.early_stopping import EarlyStopping
from glm_assets.training.schedules import Schedule
from glm_assets.training.settings import LoopSettings

CHECKPOINTS, HISTORY, TOKENS, VECTORS = "checkpoints", "history.json", ".tokens", ".vectors.npy"
"""In the working folder."""


@dataclass(frozen=True)
class TrainingJob:
    """One training.

    Attributes:
        key: Digest of everything it is a function of.
        reads: Folder of the table `metagenome_reads`.
        splits: Folder of the table `metagenome_splits`.
        work: Folder for checkpoints and tokens.
        weights: The language model's weights file.
        sha256: Their digest.
        model: `ModelSettings` as JSON.
        training: `TrainingSettings` as JSON.
        seed: Of everything random.
        device: `cpu` or `cuda:N` of a single process.
        cpu_threads: torch threads of a process on a CPU.
        pad_id: Of the tokenizer; 0 where vectors are trained on.
        tokenizer: Its digest; empty where vectors are trained on.
    """

    key: str
    reads: str
    splits: str
    work: str
    weights: str
    sha256: str
    model: Mapping[str, Any]
    training: Mapping[str, Any]
    seed: int
    device: str
    cpu_threads: int
    pad_id: int
    tokenizer: str

    @property
    def model_settings(self) -> ModelSettings:
        """The model."""
        return ModelSettings.model_validate(self.model)

    @property
    def training_settings(self) -> TrainingSettings:
        """The training."""
        return TrainingSettings.model_validate(self.training)

    @property
    def folder(self) -> Path:
        """The working folder."""
        return Path(self.work)

    def as_dict(self) -> dict[str, Any]:
        """The job as JSON values."""
        return asdict(self)

    def loop_settings(self, device: str) -> LoopSettings:
        """How the weights are moved on a device; whole models alone are autocast, for others are bfloat16 already."""
        training, on_gpu = self.training_settings, device != "cpu"
        narrow = on_gpu and self.model_settings.method == "full" and training.precision != "float32"
        return LoopSettings(
            epochs=training.epochs,
            learning_rate=training.learning_rate,
            weight_decay=training.weight_decay,
            clip_norm=training.clip_norm,
            mixed_precision=narrow,
            schedule=Schedule("linear", training.warmup_steps),
            accumulation=training.accumulation,
            betas=training.betas,
            early_stopping=EarlyStopping(training.patience) if training.patience else None,
            checkpoint_every_steps=training.checkpoint_steps,
        )
