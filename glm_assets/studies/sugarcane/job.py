"""What a process must know to train its part of a variety's adapter; JSON carries it to others."""

from __future__ import annotations

from dataclasses import dataclass

from glm_assets.encoders.device import CPU
from glm_assets.studies.sugarcane.configuration import ModelSettings, TrainingSettings
from glm_assets.studies.training_job import StudyJob
from glm_assets.studies.training_runs import language_loop
from glm_assets.training.settings import LoopSettings


@dataclass(frozen=True, kw_only=True)
class AdapterJob(StudyJob):
    """One training.

    Attributes:
        shards: Folder of the tokens.
        weights: The language model's weights file.
        sha256: Their digest.
    """

    shards: str
    weights: str
    sha256: str

    @property
    def model_settings(self) -> ModelSettings:
        """The model."""
        return ModelSettings.model_validate(self.model)

    @property
    def training_settings(self) -> TrainingSettings:
        """The training."""
        return TrainingSettings.model_validate(self.training)

    @property
    def dtype(self) -> str:
        """The type of weights: all that is trained is float32, and what is not is bfloat16 on a GPU."""
        whole = self.model_settings.method == "full" or self.training_settings.precision == "float32"
        return "float32" if whole else "auto"

    def loop_settings(self, device: str) -> LoopSettings:
        """How the weights are moved on a device; whole models alone are autocast, for others are bfloat16 already."""
        training, on_gpu = self.training_settings, device != CPU
        narrow = on_gpu and self.model_settings.method == "full" and training.precision != "float32"
        return language_loop(training, mixed_precision=narrow)
