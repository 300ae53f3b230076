"""What a process must know to train its part of a plant language model; JSON carries it to others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glm_assets.studies.plant.configuration import ModelSettings, TrainingSettings
from glm_assets.studies.training_job import StudyJob
from glm_assets.studies.training_runs import epochs_and_steps, language_loop

if TYPE_CHECKING:
    from glm_assets.encoders.plant_lm.config import PlantLmConfig
    from glm_assets.training.settings import LoopSettings


@dataclass(frozen=True, kw_only=True)
class PlantJob(StudyJob):
    """One training.

    Attributes:
        tokens: Folder of each species' tokens, by species in the order of their numbers.
        weights: How often each species is trained on, beside the others.
        k: Bases of a token.
    """

    tokens: Mapping[str, str]
    weights: Mapping[str, float]
    k: int

    @property
    def model_settings(self) -> ModelSettings:
        """The model."""
        return ModelSettings.model_validate(self.model)

    @property
    def training_settings(self) -> TrainingSettings:
        """The training."""
        return TrainingSettings.model_validate(self.training)

    @property
    def network(self) -> PlantLmConfig:
        """The network's shape."""
        from glm_assets.encoders.plant_lm.config import PlantLmConfig

        return PlantLmConfig(species=tuple(self.tokens), k=self.k, **self.model_settings.model_dump())

    @property
    def micro_batches(self) -> int:
        """Forward passes between two validations, of all processes together."""
        training = self.training_settings
        _, steps = epochs_and_steps(training)
        return steps * training.accumulation * training.processes

    def loop_settings(self, device: str) -> LoopSettings:
        """How the weights are moved on a device: in bfloat16 on GPUs, unless the values say otherwise."""
        training = self.training_settings
        narrow = training.precision == "bfloat16" or (training.precision == "auto" and device != "cpu")
        return language_loop(training, mixed_precision=narrow)
