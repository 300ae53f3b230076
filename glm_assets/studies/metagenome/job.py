"""What a process must know to train its part of a classifier; JSON carries it to others."""

from __future__ import annotations

from dataclasses import dataclass

from glm_assets.studies.metagenome.configuration import ModelSettings, TrainingSettings
from glm_assets.studies.training_job import StudyJob
from glm_assets.training.early_stopping import EarlyStopping
from glm_assets.training.schedules import Schedule
from glm_assets.training.settings import LoopSettings

TOKENS, VECTORS = ".tokens", ".vectors.npy"
"""In the working folder."""


@dataclass(frozen=True, kw_only=True)
class TrainingJob(StudyJob):
    """One training.

    Attributes:
        reads: Folder of the table `metagenome_reads`.
        splits: Folder of the table `metagenome_splits`.
        weights: The language model's weights file.
        sha256: Their digest.
        pad_id: Of the tokenizer; 0 where vectors are trained on.
        tokenizer: Its digest; empty where vectors are trained on.
    """

    reads: str
    splits: str
    weights: str
    sha256: str
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
