"""The convolutional head as a task of the training loop. Importing this module imports torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from glm_assets.studies.impact.activations import Activations
from glm_assets.studies.impact.error_figures import error_figures
from glm_assets.studies.impact.network import ImpactHead, predict
from glm_assets.studies.impact.rows import FULL_SCORE, Rows
from glm_assets.training.batches import Planned

_Batch = tuple[Tensor, Tensor]


class ImpactTask:
    """Mean squared error of the impact in [0, 1], on batches that are read when they are due.

    Args:
        model: On its device.
        activations: Of all rows.
        train: What is trained on.
        val: What chooses the epoch.
        batch_size: Reads in a step.
    """

    def __init__(
        self, model: ImpactHead, activations: Activations, train: Rows, val: Rows, batch_size: int
    ) -> None:
        self.model = model
        self._activations = activations
        self._train = train
        self._val = val
        self._batch_size = batch_size
        self._device = next(model.parameters()).device

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Weights decay, biases do not."""
        parameters = list(self.model.parameters())
        return [
            {"params": [each for each in parameters if each.ndim > 1], "weight_decay": weight_decay},
            {"params": [each for each in parameters if each.ndim < 2], "weight_decay": 0.0},
        ]

    def batches(self, epoch: int) -> Planned[_Batch]:  # noqa: ARG002 - the order comes from torch's generator
        """The epoch's batches: rows by their copies in a fresh order, or as many rows drawn by their weights."""
        order = self._draw()
        starts = range(0, len(order), self._batch_size)
        return Planned([order[start : start + self._batch_size] for start in starts], self._read)

    def loss(self, batch: _Batch, epoch: int) -> dict[str, Tensor]:  # noqa: ARG002 - the same in all epochs
        """Mean squared error of a batch."""
        activations, target = batch
        error = functional.mse_loss(self.model(activations).float(), target)
        return {"loss": error, "weight": target.new_tensor(float(len(target)))}

    def after_epoch(self, rate: float, weight_decay: float, steps: int) -> None:
        """Nothing: every step does all."""

    def validate(self, epoch: int) -> dict[str, float]:  # noqa: ARG002 - the same in all epochs
        """Errors and correlation on scores 0 to 10; the smallest RMSE is the best."""
        found = predict(self.model, self._activations.blocks(self._val.at), self._device)
        self.model.train()
        figures = error_figures(FULL_SCORE * found, FULL_SCORE * self._val.target)
        return figures | {"loss": (figures["rmse"] / FULL_SCORE) ** 2, "score": -figures["rmse"]}

    def _draw(self) -> NDArray[np.int64]:
        rows = self._train
        if rows.is_drawn:
            weight = torch.from_numpy(rows.weight)
            return torch.multinomial(weight, rows.epoch_rows, replacement=True).numpy()
        repeated = np.repeat(np.arange(len(rows)), rows.copies)
        return repeated[torch.randperm(len(repeated)).numpy()]

    def _read(self, rows: NDArray[np.int64]) -> _Batch:
        activations = torch.from_numpy(self._activations.read(self._train.at[rows]))
        target = torch.from_numpy(self._train.target[rows].astype(np.float32))
        return activations.to(self._device), target.to(self._device)
