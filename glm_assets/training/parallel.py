"""How the processes of a training share a model: each has its own (DDP), or each has a part of it (FSDP2).

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from glm_assets.training.distributed import Ranks
from glm_assets.training.task import AfterStep, Task

Strategy = Literal["ddp", "fsdp"]


class Parallel(Protocol):
    """A task's model, shared by the processes that train it."""

    def loss(self, batch: Any, epoch: int) -> Mapping[str, Tensor | float]:
        """As the task's own."""
        ...

    def micro_batch(self, last: bool) -> AbstractContextManager[None]:
        """Around the loss and the gradient of a micro-batch; the processes' gradients meet after the last of a step.

        They meet as their mean, whatever the micro-batches weigh.
        """
        ...


def parallel(task: Task, ranks: Ranks, strategy: Strategy) -> Parallel:
    """Share a task's model between processes.

    Args:
        task: With FSDP2, the children of every module list in its model, and the model itself, become sharded in place.
        ranks: The processes. All of them have the same model, in which what is trained becomes that of the first one.
        strategy: `ddp` where a model and its optimiser fit a device; `fsdp` where they do not.
    """
    if ranks.size == 1:
        return _Alone(task)
    return _Replicated(task) if strategy == "ddp" else _Sharded(task, ranks)


class _Alone:
    def __init__(self, task: Task) -> None:
        self.loss = task.loss

    def micro_batch(self, last: bool) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()


class _LossModule(nn.Module):
    """The task's loss as a module, which is what DDP can watch, however often the loss calls the model."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.model = task.model
        self._loss = task.loss

    def forward(self, batch: Any, epoch: int) -> Mapping[str, Tensor | float]:
        return self._loss(batch, epoch)


class _Replicated:
    def __init__(self, task: Task) -> None:
        # A task that follows steps keeps buffers equal itself; sending them before each pass would hide that it fails.
        self._module = DistributedDataParallel(
            _LossModule(task), broadcast_buffers=not isinstance(task, AfterStep)
        )

    def loss(self, batch: Any, epoch: int) -> Mapping[str, Tensor | float]:
        return self._module(batch, epoch)

    def micro_batch(self, last: bool) -> AbstractContextManager[None]:
        return nullcontext() if last else self._module.no_sync()


class _Sharded:
    def __init__(self, task: Task, ranks: Ranks) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        for parameter in task.model.parameters():
            if parameter.requires_grad:
                dist.broadcast(parameter.detach(), src=0)
        mesh = init_device_mesh(torch.device(ranks.device).type, (ranks.size,))
        for module in _blocks(task.model):
            fully_shard(module, mesh=mesh)
        self._model = fully_shard(task.model, mesh=mesh)
        self.loss = task.loss

    @contextmanager
    def micro_batch(self, last: bool) -> Iterator[None]:
        self._model.set_requires_gradient_sync(last)
        yield


def _blocks(model: nn.Module) -> list[nn.Module]:
    """The layers of a deep model, innermost first."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    return [child for modules in reversed(lists) for child in modules if not isinstance(child, nn.ModuleList)]
