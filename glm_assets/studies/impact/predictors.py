"""The heads of the study as they are used: activations in, impacts on 0 to 10 out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import CheckpointError
from glm_assets.heads.files import META_FILE, MODEL_FILE
from glm_assets.studies.impact.activations import Activations
from glm_assets.studies.impact.linear import LINEAR_FILE, LinearBaseline, load_linear
from glm_assets.studies.impact.rows import FULL_SCORE

CONV: Final = "conv"
LINEAR: Final = "linear"

Convolution = Callable[[Iterator[NDArray[np.float32]]], NDArray[np.float64]]


@dataclass(frozen=True)
class Predictors:
    """The heads of one folder.

    Attributes:
        convolution: Impact in [0, 1] of blocks of activations; None where the encoder pools the positions.
        linear: The baseline.
        meta: What the training wrote beside them.
    """

    convolution: Convolution | None
    linear: LinearBaseline
    meta: dict[str, Any]

    @classmethod
    def load(cls, folder: Path, device: str) -> Predictors:
        """Read the heads of a folder onto a device.

        Raises:
            CheckpointError: A file is absent, damaged or something else.
        """
        try:
            meta = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{folder / META_FILE} cannot be read ({error})", fix="materialise impact/head again"
            ) from error
        weights = folder / MODEL_FILE
        convolution = _convolution(weights, device) if weights.is_file() else None
        return cls(convolution, load_linear(folder / LINEAR_FILE), meta)

    @property
    def training_mean(self) -> float:
        """Mean impact of the training examples on 0 to 10, the simplest prediction."""
        return float(self.meta["training_mean"])

    def scores(self, activations: Activations, rows: NDArray[np.integer]) -> dict[str, NDArray[np.float64]]:
        """Impact (m,) on 0 to 10 of some rows (m,), by predictor: `linear`, and `conv` where there is one."""
        found = {LINEAR: FULL_SCORE * self.linear.predict(activations.means(rows))}
        if self.convolution:
            found[CONV] = FULL_SCORE * self.convolution(activations.blocks(rows))
        return found


def _convolution(weights: Path, device: str) -> Convolution:
    import torch

    from glm_assets.studies.impact.network import load_head, predict

    model = load_head(weights, device)
    return lambda blocks: predict(model, blocks, torch.device(device))
