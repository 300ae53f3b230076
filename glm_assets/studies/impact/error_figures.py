"""The figures by which an epoch is chosen and a head is told apart from its baseline, without intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glm_assets.evaluation.correlations import pearson


def error_figures(predicted: NDArray[np.float64], target: NDArray[np.float64]) -> dict[str, float]:
    """`rmse`, `mae` and `pearson` of n >= 1 rows, the last one 0 where predictions or targets do not vary."""
    error = predicted - target
    r = pearson(predicted, target, np.ones(len(target)))
    rmse, mae = float(np.sqrt((error**2).mean())), float(np.abs(error).mean())
    return {"rmse": rmse, "mae": mae, "pearson": float(np.nan_to_num(r))}
