"""Probes as MLflow's generic Python models; a model folder names this module, and MLflow calls its `_load_pyfunc`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glm_assets.heads.probes import LinearProbe, load_probe
from glm_assets.tracking import ModelCard

_REQUIREMENTS = ("glm_assets", "mlflow", "numpy", "safetensors")


def probe_card(probe: LinearProbe) -> ModelCard:
    """What a probe takes and gives: features (n, d) as `probes.features_of` gives them, probabilities (n,)."""
    return ModelCard("probe", len(probe.mean), None, __name__, _REQUIREMENTS)


class ProbeModel:
    """A probe as MLflow calls it.

    Args:
        probe: As `load_probe` gives it.
    """

    def __init__(self, probe: LinearProbe) -> None:
        self.probe = probe

    def predict(
        self,
        model_input: NDArray[np.floating],
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> NDArray[np.float64]:
        """Probabilities (n,) of features (n, d)."""
        return self.probe.probability_of(model_input)


def _load_pyfunc(path: str) -> ProbeModel:
    return ProbeModel(load_probe(Path(path)))
