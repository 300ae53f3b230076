"""Heads and probes as MLflow's generic Python models: `mlflow.pyfunc.load_model("models:/head_v3@champion")`.

A model folder names this module, and MLflow calls its `_load_pyfunc`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glm_assets.heads.apply import embed, load_head
from glm_assets.heads.files import META_FILE
from glm_assets.heads.probes import LinearProbe, load_probe
from glm_assets.heads.shapes import HeadShape
from glm_assets.tracking import ModelCard

if TYPE_CHECKING:
    from glm_assets.heads.networks import Head

_PROBE_REQUIREMENTS = ("glm_assets", "mlflow", "numpy", "safetensors")
_HEAD_REQUIREMENTS = (*_PROBE_REQUIREMENTS, "torch")


def head_card(shape: HeadShape) -> ModelCard:
    """What a head takes and gives: encoder vectors (n, in_dim), unit vectors (n, out_dim), both float32."""
    return ModelCard("head", shape.in_dim, shape.out_dim, __name__, _HEAD_REQUIREMENTS)


def probe_card(probe: LinearProbe) -> ModelCard:
    """What a probe takes and gives: its features (n, d) float32, `features_of` pairs; probabilities (n,) float64."""
    return ModelCard("probe", len(probe.mean), None, __name__, _PROBE_REQUIREMENTS)


class HeadModel:
    """A head as MLflow calls it.

    Args:
        head: As `load_head` gives it.
    """

    def __init__(self, head: Head) -> None:
        self.head = head

    def predict(self, model_input: NDArray[np.floating]) -> NDArray[np.float32]:
        """Unit vectors (n, out_dim) of encoder vectors (n, in_dim), as `apply.embed` gives them."""
        return embed(self.head, model_input)


class ProbeModel:
    """A probe as MLflow calls it.

    Args:
        probe: As `load_probe` gives it.
    """

    def __init__(self, probe: LinearProbe) -> None:
        self.probe = probe

    def predict(self, model_input: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probabilities (n,) of differences (n, d), or of (n, 2 d) where reference vectors stand before them."""
        if self.probe.features == "delta":
            return self.probe.probability(model_input, model_input)
        ref, delta = np.hsplit(model_input, 2)
        return self.probe.probability(ref, delta)


def _load_pyfunc(path: str) -> HeadModel | ProbeModel:
    folder = Path(path)
    meta = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
    if meta.get("kind") == "linear_probe":
        return ProbeModel(load_probe(folder))
    return HeadModel(load_head(folder))
