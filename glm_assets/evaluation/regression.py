"""How well numbers are predicted: errors, correlations, and what they have over predicting the mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.bootstrap import Estimate, Resamples, combine, ratio
from glm_assets.evaluation.correlations import correlations
from glm_assets.evaluation.estimate_table import estimate_table, resample_sources, trusted

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class RegressionFigures:
    """The figures of a regression, each with its resamples.

    Attributes:
        rows: Rows judged.
        sources: Clusters they fall into.
        estimates: Name to figure: `mse`, `rmse`, `mae`, `r2`, `pearson`, `spearman`; `mean_rmse` and `mean_mae` of
            predicting the training rows' mean for all; `rmse_saved`, the share of `mean_rmse` that the model saves.
            NaN where a figure does not exist.
        notes: Why a figure does not exist.
    """

    rows: int
    sources: int
    estimates: dict[str, Estimate]
    notes: tuple[str, ...]

    def table(self) -> pl.DataFrame:
        """`figure`, `value`, `low` and `high`, as `estimate_table` gives it."""
        return estimate_table(self.estimates)

    def as_dict(self) -> dict[str, Any]:
        """The figures without intervals as JSON values; None where one does not exist."""
        values = {name: None if np.isnan(one.value) else one.value for name, one in self.estimates.items()}
        return {"rows": self.rows, "sources": self.sources, **values, "notes": list(self.notes)}


def regression_figures(
    predicted: NDArray[np.floating],
    target: NDArray[np.floating],
    source: NDArray,
    *,
    training_mean: float,
    resamples: int = 1000,
    seed: int = 0,
) -> RegressionFigures:
    """Judge a regression, with intervals by resampling the sources with all of their rows.

    Args:
        predicted: (n,) predictions.
        target: (n,) what is true.
        source: (n,) name or number of each row's source, such as the variant of a read.
        training_mean: Mean target of the training rows, which the simplest model predicts.
        resamples: How many.
        seed: Of the draws.

    Raises:
        EvaluationError: The three do not have one length, there is no row, or a number is not finite.
    """
    predicted, target = _numbers(predicted, target)
    if len(source) != len(target):
        raise EvaluationError(f"{len(source):,} sources for {len(target):,} rows", expected="one for each row")
    drawn = resample_sources(source, resamples, seed)
    pearson, spearman = correlations(predicted, target, drawn)
    estimates = _errors(predicted, target, training_mean, drawn) | {"pearson": pearson, "spearman": spearman}
    return RegressionFigures(
        rows=len(target),
        sources=drawn.counts.shape[1],
        estimates=trusted(estimates, drawn.cluster),
        notes=_notes(predicted, target),
    )


def error_by_group(predicted: NDArray[np.floating], target: NDArray[np.floating], group: NDArray) -> pl.DataFrame:
    """Errors of each group of rows, such as the reads of one consequence.

    Args:
        predicted: (n,) predictions.
        target: (n,) what is true.
        group: (n,) name of each row's group.

    Returns:
        A row per group, the largest first: `group`, `rows`, `target` and `predicted` (their means), `bias` (mean of
        predicted - target), `mae` and `rmse`.

    Raises:
        EvaluationError: The three do not have one length, there is no row, or a number is not finite.
    """
    predicted, target = _numbers(predicted, target)
    error = pl.col("predicted") - pl.col("target")
    return (
        pl.DataFrame({"group": group.astype(str), "target": target, "predicted": predicted})
        .group_by("group")
        .agg(
            pl.len().cast(pl.Int64).alias("rows"),
            pl.col("target", "predicted").mean(),
            error.mean().alias("bias"),
            error.abs().mean().alias("mae"),
            error.pow(2).mean().sqrt().alias("rmse"),
        )
        .sort(["rows", "group"], descending=[True, False])
    )


def _numbers(predicted: NDArray[np.floating], target: NDArray[np.floating]) -> tuple[Numbers, Numbers]:
    if predicted.shape != target.shape or predicted.ndim != 1 or not len(target):
        raise EvaluationError(
            f"predictions of shape {predicted.shape} for targets of shape {target.shape}",
            expected="two arrays of one length, at least 1",
        )
    for name, values in (("predictions", predicted), ("targets", target)):
        unusable = int(np.count_nonzero(~np.isfinite(values)))
        if unusable:
            raise EvaluationError(f"{unusable:,} of {len(values):,} {name} are not finite", expected="numbers")
    return predicted.astype(np.float64), target.astype(np.float64)


def _errors(predicted: Numbers, target: Numbers, training_mean: float, drawn: Resamples) -> dict[str, Estimate]:
    every = np.ones(len(target), dtype=bool)
    error, constant = predicted - target, training_mean - target
    mse, mean_mse = drawn.mean(error**2, every), drawn.mean(constant**2, every)
    rmse, mean_rmse = combine(np.sqrt, mse), combine(np.sqrt, mean_mse)
    # About a number near the targets' mean, so that the difference of two large squares loses no digits.
    centred = target - target.mean()
    variance = combine(lambda square, mean: square - mean**2, *(drawn.mean(centred**p, every) for p in (2, 1)))
    return {
        "mse": mse,
        "rmse": rmse,
        "mae": drawn.mean(np.abs(error), every),
        "r2": _one_minus(mse, variance),
        "mean_rmse": mean_rmse,
        "mean_mae": drawn.mean(np.abs(constant), every),
        "rmse_saved": _one_minus(rmse, mean_rmse),
    }


def _one_minus(part: Estimate, whole: Estimate) -> Estimate:
    """1 - part / whole; NaN where the whole is nought but for rounding."""
    least = 1e-12 * max(part.value, whole.value)

    def share(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1 - ratio(np.asarray(above), np.where(below > least, below, 0.0))

    return combine(share, part, whole)


def _notes(predicted: Numbers, target: Numbers) -> tuple[str, ...]:
    notes = []
    if np.ptp(predicted) == 0:
        notes.append(f"all predictions are {predicted[0]:.4g}: they correlate with nothing")
    if np.ptp(target) == 0:
        notes.append(f"all targets are {target[0]:.4g}: nothing correlates with them, and R2 does not exist")
    return tuple(notes)
