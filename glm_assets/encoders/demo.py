"""The demo's weights: a deterministic, untrained model of the 7B model's layer plan, tiny enough for a CPU.

It is no language model; its vectors are random features of a sequence, which is enough to exercise every step.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from glm_assets.encoders.device import CPU
from glm_assets.encoders.evo2.config import DEMO, model_config
from glm_assets.encoders.evo2.model import build_model
from glm_assets.storage.atomic import atomic_path, digest_of

SEED = "1"


def demo_recipe() -> str:
    """Digest of what the demo's weights are a function of; it names their file."""
    return digest_of({"config": model_config(DEMO), "seed": SEED})


def make_demo_checkpoint(dest: Path) -> None:
    """Write the demo's weights, and its configuration beside them as `<stem>.yml`.

    The same bytes come out every time. The file is in the layout of the published checkpoints (`column_split`: vtx
    permutes the attention rows while loading), so the state dict of a loaded model must not be saved in its place.

    Args:
        dest: The `.pt` file to write.
    """
    import torch

    config = model_config(DEMO) | {"use_flash_attn": False, "use_fp8_input_projections": False}
    model = build_model(config, CPU)
    model.to_bfloat16_except_pr_lc(to_float32=True)
    buffers = dict(model.named_buffers())
    state = {
        name: value.cpu() if name in buffers else torch.from_numpy(draw(name, tuple(value.shape))).to(value.dtype)
        for name, value in model.state_dict().items()
    }
    with atomic_path(dest.with_suffix(".yml")) as temporary:
        temporary.write_text(yaml.safe_dump(config), encoding="utf-8")
    # Given a path, torch.save would write the temporary file's name into the archive.
    with atomic_path(dest) as temporary, temporary.open("wb") as stream:
        torch.save(state, stream)


def generator_of(name: str) -> np.random.Generator:
    """The generator of a parameter's numbers: it depends on the name only."""
    key = hashlib.sha256(f"{SEED}:{name}".encode()).digest()[:8]
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))


def draw(name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Draw a parameter from its own generator.

    The scales keep activations near one: vtx's own initialisation of the poles overflows (exp of a positive number
    times the position), and its other parts shrink the signal.
    """
    generator = generator_of(name)
    if name.endswith("log_poles"):
        return -(0.5 * generator.random(shape) + 1e-3)
    if name.endswith(".scale"):
        return np.ones(shape)
    normal = generator.standard_normal(shape)
    if name.endswith((".residues", ".bias")):
        return 0.1 * normal
    if name.endswith(("embedding_layer.weight", ".D")):
        return normal
    return normal / math.sqrt(shape[-1])
