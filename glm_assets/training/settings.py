"""How a training moves its weights. Nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from glm_assets.errors import SettingsError
from glm_assets.training.early_stopping import EarlyStopping
from glm_assets.training.schedules import Schedule


@dataclass(frozen=True)
class LoopSettings:
    """How the weights are moved.

    Attributes:
        epochs: Passes over the data, unless it stops early.
        learning_rate: The largest.
        min_learning_rate: What a cosine falls towards; the linear schedule falls to 0.
        weight_decay: Of AdamW, where the task's groups want it.
        clip_norm: Largest norm of a step's gradient.
        mixed_precision: Multiply matrices in a narrow type while training; sums, losses, weights and validation stay
            in float32.
        narrow_type: That type. float16 scales the loss, and leaves out steps whose gradient overflows.
        schedule: How the learning rate falls.
        accumulation: Micro-batches in a step. The last step of an epoch takes what is left.
        betas: Of AdamW.
        early_stopping: When to end before the last epoch; None for never.
        checkpoint_every_steps: Steps after which a long epoch is kept as far as it got; None for whole epochs alone.
    """

    epochs: int
    learning_rate: float
    min_learning_rate: float = 1e-6
    weight_decay: float = 1e-3
    clip_norm: float = 1.0
    mixed_precision: bool = False
    narrow_type: Literal["bfloat16", "float16"] = "bfloat16"
    schedule: Schedule = field(default_factory=Schedule)
    accumulation: int = 1
    betas: tuple[float, float] = (0.9, 0.999)
    early_stopping: EarlyStopping | None = None
    checkpoint_every_steps: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range.

        Raises:
            SettingsError: A count below 1, a negative rate or decay, a norm of 0, betas outside of [0, 1).
        """
        every = 1 if self.checkpoint_every_steps is None else self.checkpoint_every_steps
        rules = {
            "epochs": (self.epochs >= 1, "1 or more"),
            "accumulation": (self.accumulation >= 1, "1 or more"),
            "checkpoint_every_steps": (every >= 1, "1 or more, or none"),
            "learning_rate": (self.learning_rate >= 0, "0 or more"),
            "min_learning_rate": (self.min_learning_rate >= 0, "0 or more"),
            "weight_decay": (self.weight_decay >= 0, "0 or more"),
            "clip_norm": (self.clip_norm > 0, "more than 0"),
            "betas": (all(0 <= beta < 1 for beta in self.betas), "two numbers of [0, 1)"),
            "narrow_type": (self.narrow_type in ("bfloat16", "float16"), "bfloat16 or float16"),
        }
        for name, (holds, expected) in rules.items():
            if not holds:
                raise SettingsError(f"{name} of a training is {getattr(self, name)}", expected=expected)

    def learning_rate_at(self, epoch: int, step: int = 1, steps: int = 1) -> float:
        """The rate of a step, which a schedule by epochs has for all steps of an epoch.

        Args:
            epoch: Counted from 1.
            step: Of the epoch, counted from 1.
            steps: Of the whole epoch.
        """
        done, total = (epoch - 1, self.epochs)
        if not self.schedule.by_epoch:
            done, total = (epoch - 1) * steps + step, self.epochs * steps
        return self.schedule.rate(done, total, self.learning_rate, self.min_learning_rate)

    def steps_of(self, batches: int) -> int:
        """Optimiser steps that an epoch of so many rounds of micro-batches takes."""
        return -(-batches // self.accumulation)
