"""The demo's Evo-1: deterministic, untrained weights of the real layer plan, tiny enough for a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glm_assets.encoders.demo import SEED, draw, generator_of
from glm_assets.encoders.device import CPU
from glm_assets.encoders.evo1.config import DEMO, evo1_config
from glm_assets.encoders.evo1.model import build_model
from glm_assets.storage.atomic import atomic_path, digest_of


def evo1_demo_recipe() -> str:
    """Digest of what the demo's weights are a function of; it names their file."""
    return digest_of({"config": evo1_config(DEMO), "seed": SEED})


def make_evo1_demo(dest: Path) -> None:
    """Write the demo's weights under the names of the published ones; the same bytes come out every time.

    Args:
        dest: The `.safetensors` file to write.
    """
    import torch
    from safetensors.torch import save

    shapes = {name: tuple(value.shape) for name, value in build_model(evo1_config(DEMO), CPU).named_parameters()}
    state = {f"backbone.{name}": torch.from_numpy(_draw(name, shape)).float() for name, shape in shapes.items()}
    with atomic_path(dest) as temporary:
        temporary.write_bytes(save(state))


def _draw(name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """As Evo2's demo draws; poles are complex numbers of a size below one, or filters would grow with the position."""
    if not name.endswith("filter.poles"):
        return draw(name, shape)
    random = generator_of(name).random((2, *shape[:-1]))
    size, angle = np.exp(-0.5 * random[0] - 1e-3), random[1] - 0.5
    return np.stack([size * np.cos(angle), size * np.sin(angle)], axis=-1)
