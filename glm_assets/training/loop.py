"""The training loop: AdamW along a cosine, one checkpoint per epoch, resumable after a kill.

Importing this module imports torch. What a batch is and what its loss is belongs to the `Task`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from glm_assets.errors import TrainingError
from glm_assets.training.checkpoints import CheckpointFolder, EpochRecord

_PROGRESS_SECONDS = 5.0


class Task(Protocol):
    """What is trained on what. Epochs count from 1."""

    @property
    def model(self) -> nn.Module:
        """What is trained, on its device."""
        ...

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """What AdamW moves: groups of `params`, each with the `weight_decay` it has or is spared."""
        ...

    def batches(self, epoch: int) -> Iterable[Any]:
        """The epoch's batches, in an order drawn from torch's generator."""
        ...

    def loss(self, batch: Any, epoch: int) -> dict[str, Tensor]:
        """Scalars of a batch: `loss`, which is minimised, and the terms it is made of."""
        ...

    def after_epoch(self, rate: float, weight_decay: float, steps: int) -> None:
        """Called after an epoch's steps, before it is validated and kept, for what no step has to do."""
        ...

    def validate(self, epoch: int) -> dict[str, float]:
        """Figures of the model as it is now, `score` among them; larger scores are better."""
        ...


@dataclass(frozen=True)
class LoopSettings:
    """How the weights are moved.

    Attributes:
        epochs: Passes over the data.
        learning_rate: Of the first epoch.
        min_learning_rate: What the cosine falls towards.
        weight_decay: Of AdamW, where the task's groups want it.
        clip_norm: Largest norm of a step's gradient.
        mixed_precision: Multiply matrices in bfloat16 while training; sums, losses, weights and validation stay in
            float32.
    """

    epochs: int
    learning_rate: float
    min_learning_rate: float = 1e-6
    weight_decay: float = 1e-3
    clip_norm: float = 1.0
    mixed_precision: bool = False

    def learning_rate_at(self, epoch: int) -> float:
        """The rate of an epoch: `min + (first - min) (1 + cos(pi (epoch - 1) / epochs)) / 2`."""
        share = (1 + math.cos(math.pi * (epoch - 1) / self.epochs)) / 2
        return self.min_learning_rate + (self.learning_rate - self.min_learning_rate) * share


def fit(
    task: Task,
    settings: LoopSettings,
    checkpoints: CheckpointFolder,
    *,
    on_epoch: Callable[[EpochRecord], None],
    progress: Callable[[str], None],
) -> list[EpochRecord]:
    """Train to the last epoch, from wherever the checkpoint folder stands.

    Args:
        task: Model, batches, loss and validation.
        settings: Length, rates and clipping.
        checkpoints: Where each epoch is kept.
        on_epoch: Called with every epoch in order, also with those done before this call.
        progress: Told the newest figures every few seconds.

    Returns:
        All epochs, in order.

    Raises:
        CheckpointError: The folder belongs to another training.
        TrainingError: The loss is no longer finite.
    """
    optimizer = make_optimizer(task, settings)
    history = checkpoints.resume(task.model, optimizer)
    for record in history:
        on_epoch(record)
    if history:
        progress(f"continuing after epoch {len(history)} of {settings.epochs}")
    told = time.monotonic()
    for epoch in range(len(history) + 1, settings.epochs + 1):
        rate = settings.learning_rate_at(epoch)
        train = _train_epoch(task, optimizer, epoch, rate, settings)
        validation = task.validate(epoch)
        record = EpochRecord(epoch, rate, train, validation, checkpoints.save_weights(epoch, task.model))
        history.append(record)
        checkpoints.commit(history, optimizer)
        on_epoch(record)
        if time.monotonic() - told >= _PROGRESS_SECONDS or epoch == settings.epochs:
            progress(f"epoch {epoch}/{settings.epochs}: loss {train['loss']:.4f}, score {record.score:.4f}")
            told = time.monotonic()
    checkpoints.finish(history)
    return history


def make_optimizer(task: Task, settings: LoopSettings) -> torch.optim.AdamW:
    """AdamW over the task's groups, in one pass over all tensors of a group per step."""
    groups = task.parameter_groups(settings.weight_decay)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)


def train_step(
    task: Task, optimizer: torch.optim.Optimizer, batch: Any, epoch: int, settings: LoopSettings
) -> dict[str, Tensor]:
    """Move the weights once; returns the batch's scalars without waiting for the device."""
    device = next(task.model.parameters()).device.type
    with torch.autocast(device, torch.bfloat16, enabled=settings.mixed_precision):
        scalars = task.loss(batch, epoch)
    optimizer.zero_grad(set_to_none=True)
    scalars["loss"].backward()
    moved = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    nn.utils.clip_grad_norm_(moved, settings.clip_norm)
    optimizer.step()
    return {name: value.detach() for name, value in scalars.items()}


def _train_epoch(
    task: Task, optimizer: torch.optim.Optimizer, epoch: int, rate: float, settings: LoopSettings
) -> dict[str, float]:
    """One pass; returns the mean over steps of every scalar, read from the device once."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    task.model.train()
    totals: dict[str, Tensor] = {}
    steps = 0
    for batch in task.batches(epoch):
        for name, value in train_step(task, optimizer, batch, epoch, settings).items():
            totals[name] = totals.get(name, 0) + value
        steps += 1
    task.after_epoch(rate, settings.weight_decay, steps)
    means = {name: float(total) / steps for name, total in totals.items()}
    if not all(map(math.isfinite, means.values())):
        raise TrainingError(
            f"training diverged in epoch {epoch}: {means}",
            expected="a finite loss",
            fix="look for extreme values in the embeddings, or use a larger batch_size in the profile",
        )
    return means
