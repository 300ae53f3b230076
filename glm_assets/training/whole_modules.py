"""Modules of a frozen model that are trained whole beside adapters. Importing this module imports torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def train_whole(model: nn.Module, name: str) -> None:
    """Make a module of a frozen model trainable, in place.

    Its parameters become float32 copies: small steps would be rounded away in a shorter type, and a model that shares
    the old ones keeps them. A parameter that is also another module's, such as a tied embedding, stays tied. What goes
    in and comes out keeps its type.

    Args:
        model: All of it, for what is tied.
        name: Of the module in it.
    """
    module = model.get_submodule(name)
    short = next((each.dtype for each in module.parameters() if each.dtype != torch.float32), None)
    owners = {id(module): module}
    for parameter in list(module.parameters()):
        if not parameter.requires_grad:
            owners |= _replace(model, parameter, nn.Parameter(parameter.detach().float().clone()))
    if short is not None:
        inner = {id(each) for each in module.modules()} - {id(module)}
        for owner in [owner for key, owner in owners.items() if key not in inner]:
            _compute_in_float32(owner, short)


def _replace(model: nn.Module, old: nn.Parameter, new: nn.Parameter) -> dict[int, nn.Module]:
    """Put a parameter in another's place wherever it is; returns the modules that have it, by id."""
    owners = {}
    for owner in model.modules():
        for key, value in owner._parameters.items():
            if value is old:
                owner._parameters[key] = new
                owners[id(owner)] = owner
    return owners


def _compute_in_float32(module: nn.Module, short: torch.dtype) -> None:
    """Bring what goes in to float32, and what comes out to the type of what went in; of ids, to that of the weights."""
    types: list[torch.dtype] = []

    def widen(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        floating = [each.dtype for each in inputs if isinstance(each, Tensor) and each.is_floating_point()]
        types.append(floating[0] if floating else short)
        return tuple(
            each.float() if isinstance(each, Tensor) and each.is_floating_point() else each for each in inputs
        )

    def narrow(_: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
        kind = types.pop()
        return output.to(kind) if isinstance(output, Tensor) else output

    module.register_forward_pre_hook(widen)
    module.register_forward_hook(narrow)
