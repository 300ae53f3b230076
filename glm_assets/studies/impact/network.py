"""The convolutional head of the original study, for any length and width. Importing this module imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from glm_assets.errors import CheckpointError
from glm_assets.storage.atomic import atomic_path
from glm_assets.studies.impact.configuration import HeadSettings
from glm_assets.studies.impact.head_shape import HeadShape

_SHAPE = "shape"


class ImpactHead(nn.Module):
    """Two convolutions with pooling, dense layers and a sigmoid: a read's activations to its impact in [0, 1].

    At 150 positions of width 512 it is the original's network, with 38,241 parameters. What it takes is brought to
    mean 0 and deviation 1 in each channel, by statistics that are no parameters: 0 and 1 leave it as it is.

    Args:
        shape: Its sizes.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, shape: HeadShape) -> None:
        super().__init__()
        self.shape = shape
        first, second = shape.channels
        padding = shape.kernel // 2
        self.register_buffer("mean", torch.zeros(shape.width))
        self.register_buffer("deviation", torch.ones(shape.width))
        self.convolutions = nn.Sequential(
            nn.Conv1d(shape.width, first, shape.kernel, padding=padding),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(first, second, shape.kernel, padding=padding),
            nn.ReLU(),
            nn.MaxPool1d(2),
        )
        layers: list[nn.Module] = []
        size = shape.flat_size
        for _ in range(shape.dense_layers):
            layers += [nn.Linear(size, shape.hidden), nn.ReLU()]
            size = shape.hidden
        self.dense = nn.Sequential(*layers, nn.Linear(size, 1))

    def forward(self, activations: Tensor) -> Tensor:
        """Impact (b,) in [0, 1] of activations (b, length, width)."""
        weight = next(self.dense.parameters())
        scaled = ((activations.float() - self.mean) / self.deviation).to(weight.dtype)
        features = self.convolutions(scaled.transpose(1, 2)).flatten(1)
        return torch.sigmoid(self.dense(features).squeeze(1))

    def standardise(self, mean: NDArray[np.floating], deviation: NDArray[np.floating]) -> None:
        """Take these statistics (width,) of the channels."""
        self.mean.copy_(torch.from_numpy(mean))
        self.deviation.copy_(torch.from_numpy(deviation))

    def of_type(self, name: str) -> ImpactHead:
        """The same with its parameters in `float32` or `bfloat16`; the statistics stay in float32."""
        for module in (self.convolutions, self.dense):
            module.to(getattr(torch, name))
        return self


def parameter_count(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in model.parameters())


def make_head(settings: HeadSettings, length: int, width: int) -> ImpactHead:
    """A fresh head, its weights drawn from torch's generator.

    Raises:
        SettingsError: So few positions leave nothing after the pooling.
    """
    return ImpactHead(HeadShape.of(settings, length, width)).of_type(settings.dtype)


def predict(model: ImpactHead, blocks: Iterator[NDArray[np.float32]], device: torch.device) -> NDArray[np.float64]:
    """Impact in [0, 1] of blocks of activations (m, length, width), one after the other."""
    model.eval()
    with torch.inference_mode():
        found = [model(torch.from_numpy(block).to(device)).double().cpu().numpy() for block in blocks]
    return np.concatenate([np.empty(0), *found])


def save_head(model: ImpactHead, path: Path) -> None:
    """Write weights, statistics and shape as safetensors, atomically."""
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata={_SHAPE: model.shape.to_json()})


def load_head(path: Path, device: str) -> ImpactHead:
    """Read what `save_head` wrote, onto a device, for prediction.

    Raises:
        CheckpointError: The file is absent, damaged or no such head.
    """
    try:
        with safe_open(path, framework="pt", device=device) as file:
            shape = HeadShape.from_json(cast("dict[str, Any]", file.metadata() or {})[_SHAPE])
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
        model = ImpactHead(shape)
        model.load_state_dict(state, strict=True, assign=True)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} cannot be read as an impact head ({error})",
            expected="safetensors as impact/head writes them",
            fix="remove the file and materialise impact/head again",
        ) from error
    return model.to(device).eval()
