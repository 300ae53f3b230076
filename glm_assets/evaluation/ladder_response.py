"""How a scorer's distance answers to the number of substitutions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.heads.metrics import pearson_by_group


@dataclass(frozen=True)
class LadderResponse:
    """Distances over mutation ladders, summed up.

    Attributes:
        substitutions: Numbers of substitutions, ascending (k,).
        quartiles: Lower quartile, median and upper quartile of the distance at each (3, k).
        correlations: Pearson's r of substitutions and distance within each ladder that has one (l,).
    """

    substitutions: NDArray[np.int64]
    quartiles: NDArray[np.float64]
    correlations: NDArray[np.float64]


def ladder_response(ladders: pl.DataFrame, distance: NDArray[np.float64]) -> LadderResponse:
    """Sum up the distances of a scorer over ladders.

    Args:
        ladders: m >= 1 rows with `ladder` and `substitutions`.
        distance: (m,) cosine distance of base and mutated window.
    """
    substitutions = ladders["substitutions"].to_numpy().astype(np.int64)
    steps = np.unique(substitutions)
    quartiles = np.stack(
        [np.quantile(distance[substitutions == step], (0.25, 0.5, 0.75)) for step in steps], axis=1
    )
    group = ladders["ladder"].to_numpy().astype(np.int64)
    return LadderResponse(steps, quartiles, pearson_by_group(substitutions.astype(np.float64), distance, group))
