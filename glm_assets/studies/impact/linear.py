"""The baseline of the convolutional head: ridge regression on the mean over a read's positions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import CheckpointError
from glm_assets.storage.atomic import atomic_path

LINEAR_FILE: Final = "linear.safetensors"
STRENGTHS: Final = tuple(float(10.0**power) for power in range(-2, 6))
"""Penalties that are tried, the weakest first."""

_NAMES: Final = ("mean", "deviation", "weight", "bias")


@dataclass(frozen=True)
class LinearBaseline:
    """A fitted ridge regression; its predictions are cut to [0, 1], as the other head's sigmoid does.

    Attributes:
        mean: (width,) of the features that it was fitted to.
        deviation: (width,) theirs, none of them zero.
        weight: (width,) per standard deviation.
        bias: (1,) impact at the mean.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]

    def predict(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Impact (n,) in [0, 1] of features (n, width)."""
        return np.clip((features - self.mean) / self.deviation @ self.weight + self.bias, 0.0, 1.0)


def fit_linear(
    train: NDArray[np.floating],
    target: NDArray[np.floating],
    importance: NDArray[np.floating],
    val: NDArray[np.floating],
    val_target: NDArray[np.floating],
) -> tuple[LinearBaseline, dict[str, float]]:
    """Fit one model for each penalty and keep the one with the smallest error on the validation rows.

    Args:
        train: (n, width) features.
        target: (n,) impact in [0, 1].
        importance: (n,) weight of each row, as balancing wants it; their sum does not matter.
        val: (m, width) other features.
        val_target: (m,) theirs.

    Returns:
        The model, and penalty to RMSE on the validation rows; of equally good ones the strongest penalty is taken.
    """
    from sklearn.linear_model import Ridge

    share = importance / importance.sum()
    mean = share @ train
    deviation = np.sqrt(share @ (train - mean) ** 2)
    deviation[deviation == 0] = 1.0
    standardised = (train - mean) / deviation
    tried: dict[str, float] = {}
    best: LinearBaseline | None = None
    for strength in reversed(STRENGTHS):
        ridge = Ridge(strength).fit(standardised, target, sample_weight=share * len(train))
        model = LinearBaseline(
            mean, deviation, ridge.coef_.astype(np.float64), np.array([float(ridge.intercept_)])
        )
        error = float(np.sqrt(((model.predict(val) - val_target) ** 2).mean()))
        if best is None or error < min(tried.values()):
            best = model
        tried[f"{strength:g}"] = error
    assert best is not None
    return best, tried


def save_linear(model: LinearBaseline, path: Path) -> None:
    """Write a model as safetensors, atomically."""
    from safetensors.numpy import save_file

    with atomic_path(path) as temporary:
        save_file({name: np.ascontiguousarray(getattr(model, name)) for name in _NAMES}, temporary)


def load_linear(path: Path) -> LinearBaseline:
    """Read what `save_linear` wrote.

    Raises:
        CheckpointError: The file is absent, damaged or no such model.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        state = load_file(path)
        return LinearBaseline(**{name: state[name] for name in _NAMES})
    except (OSError, SafetensorError, KeyError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a linear baseline ({error})",
            fix="remove the file and materialise impact/head again",
        ) from error
