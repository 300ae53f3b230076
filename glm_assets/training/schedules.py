"""The learning rate along a training. Nothing here needs torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from glm_assets.errors import SettingsError, TrainingError

Shape = Literal["epoch_cosine", "constant", "linear", "cosine"]
SHAPES: tuple[Shape, ...] = ("epoch_cosine", "constant", "linear", "cosine")


@dataclass(frozen=True)
class Schedule:
    """How the learning rate goes from its peak to its floor.

    Attributes:
        shape: `epoch_cosine` falls from epoch to epoch and is constant within one. The others count the optimiser's
            steps, however many micro-batches a step takes: `constant` stays at the peak, `linear` and `cosine` fall,
            and are at the floor in the last step.
        warmup_steps: Optimiser steps in which the rate grows evenly to its peak; none for `epoch_cosine`.
    """

    shape: Shape = "epoch_cosine"
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        """Refuse what no training could follow.

        Raises:
            SettingsError: An unknown shape, or a warmup that is negative or that the shape has not.
        """
        if self.shape not in SHAPES:
            raise SettingsError(f"there is no schedule {self.shape!r}", expected=f"one of {', '.join(SHAPES)}")
        if self.warmup_steps < 0:
            raise SettingsError(f"a warmup of {self.warmup_steps} steps", expected="0 or more")
        if self.warmup_steps and self.by_epoch:
            raise SettingsError(
                f"schedule {self.shape} has no warmup, and warmup_steps is {self.warmup_steps}",
                fix="choose schedule linear or cosine",
            )

    @property
    def by_epoch(self) -> bool:
        """Whether it counts epochs and not steps."""
        return self.shape == "epoch_cosine"

    def rate(self, done: int, total: int, peak: float, floor: float) -> float:
        """The learning rate.

        Args:
            done: The step that is being taken, from 1 to `total`; for `epoch_cosine` the epochs done before this one.
            total: All steps of the training; for `epoch_cosine` its epochs.
            peak: The largest rate.
            floor: What the cosines fall to; `linear` falls to 0.
        """
        if done < self.warmup_steps:
            return peak * done / self.warmup_steps
        fallen, way = done - self.warmup_steps, total - self.warmup_steps
        if self.shape == "constant":
            return peak
        if self.shape == "linear":
            return peak * (way - fallen) / way
        return floor + (peak - floor) * ((1 + math.cos(math.pi * fallen / way)) / 2)

    def require_room(self, total: int) -> None:
        """Refuse a warmup that does not end before the training does.

        Raises:
            TrainingError: The training has not more than `warmup_steps` optimiser steps.
        """
        if total <= self.warmup_steps:
            raise TrainingError(
                f"a warmup of {self.warmup_steps} steps in a training of {total}",
                expected="a warmup that is shorter than the training",
                fix="lower warmup_steps or the accumulation, or train for more epochs",
            )
