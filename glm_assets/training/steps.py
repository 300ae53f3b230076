"""One step of the optimiser: the gradients of its micro-batches, in all processes, and what they move.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glm_assets.errors import TrainingError
from glm_assets.training.batches import Share
from glm_assets.training.distributed import ALONE, Ranks
from glm_assets.training.means import Means
from glm_assets.training.parallel import Parallel, Strategy, parallel
from glm_assets.training.settings import LoopSettings
from glm_assets.training.states import load_optimizer_state, local, optimizer_state
from glm_assets.training.task import Task


class Steps:
    """What moves a task's weights.

    Args:
        task: Model and loss.
        settings: How the weights are moved.
        ranks: The processes that train together.
        strategy: How they share the model.

    Raises:
        TrainingError: A sharded model is to be trained in float16, where each part would be scaled by itself.

    Attributes:
        optimizer: AdamW over the task's groups.
    """

    def __init__(
        self, task: Task, settings: LoopSettings, ranks: Ranks = ALONE, strategy: Strategy = "ddp"
    ) -> None:
        self._parallel: Parallel = parallel(task, ranks, strategy)
        self._settings = settings
        self._ranks = ranks
        self._device = next(task.model.parameters()).device.type
        self._narrow = torch.bfloat16 if settings.narrow_type == "bfloat16" else torch.float16
        scales = settings.mixed_precision and settings.narrow_type == "float16"
        if scales and ranks.size > 1 and strategy == "fsdp":
            raise TrainingError("a sharded model cannot train in float16", fix="set narrow_type to bfloat16")
        self._scaler = torch.amp.GradScaler(self._device, enabled=scales)
        # A mean over one batch is what its gradient is the gradient of; several batches are summed by weight first.
        self._weighs = ranks.size > 1 or settings.accumulation > 1
        self.optimizer = make_optimizer(task, settings)

    def take(self, group: Sequence[Share], epoch: int, rate: float, means: Means) -> None:
        """Move the weights once, without waiting for the device.

        Args:
            group: This process's micro-batches of the step.
            epoch: Counted from 1.
            rate: The learning rate.
            means: Takes the scalars of the micro-batches in.
        """
        self.optimizer.zero_grad(set_to_none=True)
        weights = [
            self._backward(share, epoch, means, last=number == len(group)) for number, share in enumerate(group, 1)
        ]
        for settings in self.optimizer.param_groups:
            settings["lr"] = rate
        self._move(sum(weights))

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, besides the weights, in the first process; all must ask."""
        scaler = {"scaler": self._scaler.state_dict()} if self._scaler.is_enabled() else {}
        return {"optimizer": optimizer_state(self.optimizer, keep=self._ranks.is_first), **scaler}

    def load_state(self, state: dict[str, Any]) -> None:
        """Put back what `state` gave."""
        load_optimizer_state(self.optimizer, state["optimizer"])
        if "scaler" in state:
            self._scaler.load_state_dict(state["scaler"])

    def _backward(self, share: Share, epoch: int, means: Means, *, last: bool) -> Tensor | float:
        """Add a micro-batch's gradient; returns its weight."""
        with self._parallel.micro_batch(last):
            with torch.autocast(self._device, self._narrow, enabled=self._settings.mixed_precision):
                scalars: dict[str, Any] = dict(self._parallel.loss(share.batch, epoch))
            weight = scalars.pop("weight", 1.0) * share.counts
            loss = scalars["loss"] * weight if self._weighs else scalars["loss"]
            self._scaler.scale(loss).backward()
        means.add(scalars, weight)
        return weight

    def _move(self, weight: Tensor | float) -> None:
        self._scaler.unscale_(self.optimizer)
        moved = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        if self._weighs:
            # Processes' gradients have met as their mean, so that the sum over all is `size` times that.
            total = self._ranks.total(torch.as_tensor(weight)) if self._ranks.size > 1 else weight
            gradients = [local(parameter.grad) for parameter in moved if parameter.grad is not None]
            torch._foreach_mul_(gradients, self._ranks.size / total)  # pyright: ignore[reportPrivateImportUsage]
        nn.utils.clip_grad_norm_(moved, self._settings.clip_norm)
        self._scaler.step(self.optimizer)
        self._scaler.update()


def make_optimizer(task: Task, settings: LoopSettings) -> torch.optim.AdamW:
    """AdamW over the task's groups, in one pass over all tensors of a group per step."""
    return torch.optim.AdamW(
        task.parameter_groups(settings.weight_decay),
        lr=settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
        fused=True,
    )
