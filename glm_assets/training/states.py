"""States of models and optimisers as whole tensors, whether or not the model is sharded over processes.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from glm_assets.errors import CheckpointError
from glm_assets.training.task import KeepsPart, Task

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor


def trainable_state(model: nn.Module) -> dict[str, Tensor]:
    """The parameters that are trained, by name: of a model with adapters, the adapters and the head."""
    return {name: value.detach() for name, value in model.named_parameters() if value.requires_grad}


def load_part(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put trained parameters back into a model that has all the others already.

    Raises:
        CheckpointError: The state is not one of exactly the parameters that the model trains, in their shapes.
    """
    wanted = trainable_state(model)
    wrong = sorted(wanted.keys() ^ state.keys())
    wrong += [name for name in wanted.keys() & state.keys() if wanted[name].shape != state[name].shape]
    if wrong:
        raise CheckpointError(
            f"the weights do not fit the parameters that are trained: {', '.join(wrong[:5])}",
            expected=f"{len(wanted)} tensors, as the model has them",
            fix="use the adapters, the ranks and the head that the weights were trained with",
        )
    _copy(wanted, state)


def task_state(task: Task, *, keep: bool = True) -> dict[str, Tensor]:
    """What is kept of a task's model, as whole tensors.

    Every process of a sharded model must ask; those that do not `keep` it get nothing, and hold one tensor at a time.
    """
    _reshard(task.model)
    state = task.state() if isinstance(task, KeepsPart) else task.model.state_dict()
    return _gathered(state, keep)


def load_task_state(task: Task, state: Mapping[str, Tensor]) -> None:
    """Put back what `task_state` gave."""
    _reshard(task.model)
    if isinstance(task, KeepsPart):
        task.load_state(state)
    elif any(is_sharded(value) for value in task.model.state_dict().values()):
        _copy(task.model.state_dict(), state)
    else:
        task.model.load_state_dict(state, strict=True)


def load_weights(task: Task, path: Path) -> None:
    """Bring a task's model to the weights of an epoch's file, such as those of the best epoch."""
    load_task_state(task, load_file(path))


def optimizer_state(optimizer: torch.optim.Optimizer, *, keep: bool = True) -> dict[str, Any]:
    """An optimiser's state of whole tensors; who must ask, and who gets them, is as of `task_state`."""
    state = optimizer.state_dict()
    moments = {number: _gathered(entry, keep) for number, entry in state["state"].items()}
    return {**state, "state": moments}


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Put back what `optimizer_state` gave, also where parameters are sharded in another way now, or no longer."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments = {
        number: {
            name: _like(parameters[number], value) if value.shape == parameters[number].shape else value
            for name, value in entry.items()
        }
        for number, entry in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": moments})


def is_sharded(value: Any) -> TypeGuard[DTensor]:
    """Whether a tensor is one process's part of a larger one."""
    return hasattr(value, "full_tensor")


def whole(value: Any, *, keep: bool = True) -> Any:
    """A sharded tensor as a whole one on the CPU, which all processes must ask for; anything else as it is.

    The GPUs of a sharded model have no room for all of its whole tensors at once, and the host none for those of each
    process: one that does not `keep` it gets None.
    """
    if not is_sharded(value):
        return value if keep else None
    full = value.full_tensor()
    return full.cpu() if keep else None


def local(value: Tensor) -> Tensor:
    """This process's part of a tensor."""
    return value.to_local() if is_sharded(value) else value


def _gathered(state: Mapping[str, Any], keep: bool) -> dict[str, Any]:
    wholes = ((name, whole(value, keep=keep)) for name, value in state.items())
    return {name: value for name, value in wholes if keep}


def _reshard(model: nn.Module) -> None:
    """Drop the whole parameters that a validation has left in a sharded model."""
    for module in model.modules():
        if hasattr(module, "reshard"):
            cast("FSDPModule", module).reshard()


def _copy(targets: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, target in targets.items():
            target.copy_(_like(target, state[name]))


def _like(target: Tensor, value: Tensor) -> Tensor:
    """A whole tensor in the layout of another; no process has to ask another, since all of them read the whole."""
    if not is_sharded(target):
        return value
    from torch.distributed.tensor import distribute_tensor

    device = target.device_mesh.device_type
    return distribute_tensor(value.to(device), target.device_mesh, target.placements, src_data_rank=None)
