"""The study's heads as MLflow's generic Python models; a model folder names this module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glm_assets.studies.impact.predictors import Predictors
from glm_assets.studies.impact.rows import FULL_SCORE
from glm_assets.tracking import ModelCard

_REQUIREMENTS = ("glm_assets", "mlflow", "numpy", "safetensors", "torch")


def head_card(length: int, width: int) -> ModelCard:
    """What the heads take and give: vectors (n, length * width) of `positions:length`, impacts (n,) of 0 to 10."""
    return ModelCard("regressor", length * width, None, __name__, _REQUIREMENTS)


class ImpactModel:
    """The convolutional head as MLflow calls it, or the linear one where there is no other.

    Args:
        predictors: As `Predictors.load` gives them.
    """

    def __init__(self, predictors: Predictors) -> None:
        self.predictors = predictors

    def predict(
        self,
        model_input: NDArray[np.floating],
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> NDArray[np.float64]:
        """Impacts (n,) of 0 to 10 of vectors (n, length * width)."""
        width = len(self.predictors.linear.mean)
        activations = np.asarray(model_input, np.float32).reshape(len(model_input), -1, width)
        if self.predictors.convolution:
            return FULL_SCORE * self.predictors.convolution(iter([activations]))
        return FULL_SCORE * self.predictors.linear.predict(activations.mean(axis=1, dtype=np.float64))


def _load_pyfunc(path: str) -> ImpactModel:
    return ImpactModel(Predictors.load(Path(path), "cpu"))
