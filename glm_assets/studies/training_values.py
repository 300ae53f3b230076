"""The values of a training that studies have in common."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from glm_assets.studies.configuration import StudySection

NO_PART_OF_A_MODEL: Final[set[str]] = {"batch_size", "accumulation", "processes", "strategy", "checkpoint_steps"}
"""Values of a training that a product's recipe leaves out: they say how a step is computed, and not what it is."""


class LoraValues(StudySection):
    """The adapters."""

    rank: int = Field(ge=1)
    alpha: float = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)
    targets: tuple[str, ...] | str = Field(
        min_length=1, description="last parts of the names of modules that are adapted, or a regular expression"
    )


class TrainingValues(StudySection):
    """How the weights are moved."""

    batch_size: int = Field(ge=1, description="sequences in a forward pass, of each process")
    accumulation: int = Field(ge=1, description="forward passes in an optimiser step")
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    warmup_steps: int = Field(ge=0, description="optimiser steps")
    clip_norm: float = Field(gt=0)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    processes: int = Field(default=1, ge=1, description="GPUs, or processes on a CPU")
    strategy: Literal["ddp", "fsdp"] = "ddp"
    checkpoint_steps: int | None = Field(default=None, ge=1, description="optimiser steps between checkpoints")

    @property
    def items_in_a_step(self) -> int:
        """Sequences that an optimiser step sees, over all passes and processes."""
        return self.batch_size * self.accumulation * self.processes


class LanguageTraining(TrainingValues):
    """How a language model is trained: a number of steps, and a look at the validation split every so often."""

    steps: int = Field(ge=1, description="optimiser steps, at most")
    validate_steps: int = Field(ge=1, description="optimiser steps between two validations")
    validation_windows: int = Field(ge=1, description="windows of the validation split that are looked at")
    patience: int | None = Field(
        default=None, ge=1, description="validations without a smaller loss before training stops; null: never"
    )
    min_learning_rate: float = Field(default=0.0, ge=0, description="where the cosine ends")
