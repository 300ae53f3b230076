"""Head weights on disk: our safetensors, and the original authors' `.pt` state dicts, loaded strictly.

Importing this module imports torch.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from glm_assets.errors import CheckpointError
from glm_assets.heads.files import weights_file
from glm_assets.heads.networks import DROPOUT, Head
from glm_assets.heads.shapes import shape_of
from glm_assets.storage.atomic import atomic_path


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict of tensors to the CPU; nothing but tensors is ever unpickled.

    Args:
        path: A `.safetensors` file, a `.pt` file with a plain state dict, or a folder with `model.safetensors`.

    Raises:
        MissingUpstreamError: There is no such file.
        CheckpointError: The file is damaged or holds something else.
    """
    file = weights_file(path)
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise CheckpointError(
            f"{file} cannot be read as head weights: {error}",
            expected="safetensors, or a plain state dict of tensors",
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{file} holds no plain state dict", expected="a mapping of key to tensor")
    return state


def write_state(module: nn.Module, path: Path) -> None:
    """Write a module's state dict as safetensors, atomically."""
    with atomic_path(path) as temporary:
        save_file({key: value.contiguous() for key, value in module.state_dict().items()}, temporary)


def read_head(path: Path, *, dropout: float = DROPOUT) -> Head:
    """Rebuild a head from its weights, in float32 on the CPU; version and widths come from the tensors.

    Args:
        path: As for `read_state`.
        dropout: Rate while training; evaluation ignores it.

    Raises:
        MissingUpstreamError: There is no such file.
        CheckpointError: The tensors are no head's, or one is missing, surplus or of another shape.
    """
    state = read_state(path)
    try:
        return head_of(state, dropout=dropout)
    except CheckpointError as error:
        raise CheckpointError(f"{weights_file(path)} is no head this version can load: {error}") from error


def head_of(state: Mapping[str, Tensor], *, dropout: float = DROPOUT) -> Head:
    """A head with these weights, strictly, in float32; it shares the tensors that are in float32 already.

    Args:
        state: State dict of a head; version, widths and block counts come from its tensors.
        dropout: Rate while training.

    Raises:
        CheckpointError: The tensors are no head's, or one is missing, surplus or of another shape.
    """
    with torch.device("meta"):
        head = Head(shape_of({key: tuple(value.shape) for key, value in state.items()}), dropout)
    try:
        head.load_state_dict({key: value.float() for key, value in state.items()}, strict=True, assign=True)
    except RuntimeError as error:
        raise CheckpointError(str(error)) from error
    return head
