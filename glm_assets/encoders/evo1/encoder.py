"""The Evo-1 encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glm_assets.encoders.evo1.config import evo1_config
from glm_assets.encoders.evo1.model import load_model
from glm_assets.encoders.evo2.encoder import Evo2Encoder


class Evo1Encoder(Evo2Encoder):
    """An Evo-1 model, hooked at one layer or whole, in the manner of `Evo2Encoder`: pairs are two forwards.

    Args:
        spec: From `evo1_spec`.
        weights: As for `evo1.model.load_model`.
        device: `cpu` or `cuda:N`.
        batch_tokens: Bases in one forward pass; a value that suits the device by default.
        cpu_threads: torch threads of this process when on a CPU.
    """

    def _load(self, weights: Path) -> tuple[Any, Mapping[str, Any]]:
        return load_model(self.spec, weights, self._device), evo1_config(self.spec.name)
