"""How our scores agree with an experiment: correlations and AUROC, with intervals by variant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.evaluation.bootstrap import Estimate, Resamples
from glm_assets.evaluation.experiment import SCORES
from glm_assets.evaluation.ranking import auroc


@dataclass(frozen=True)
class Agreement:
    """How one of our scores agrees with an experiment.

    Attributes:
        score: Which of `SCORES`.
        rows: Variants that have both.
        pearson: Pearson's r of the two.
        spearman: Spearman's rank correlation.
        auroc: Of our score, turned so that larger is more pathogenic, for the positive class; None without classes.
        positives: Variants of that class among the rows.
        negatives: Of the other one.
    """

    score: str
    rows: int
    pearson: Estimate
    spearman: Estimate
    auroc: Estimate | None
    positives: int
    negatives: int


def agreement(joined: pl.DataFrame, score: str, *, resamples: int, seed: int) -> Agreement | None:
    """How a score agrees with the experiment, with resamples of the variants; None where no variant has both.

    Args:
        joined: As `join_experiment` gives it.
        score: Which of `SCORES`.
        resamples: How many.
        seed: Of the draws.
    """
    rows = joined.filter(pl.col(score).is_not_null())
    if rows.is_empty():
        return None
    ours, measured = rows[score].to_numpy(), rows["score"].to_numpy()
    drawn = Resamples.draw(np.arange(len(ours)), resamples, seed).counts
    label = rows["label"].fill_null(-1).to_numpy()
    known, positives, negatives = label >= 0, int((label == 1).sum()), int((label == 0).sum())
    ranked = None
    if positives and negatives:
        ranked = _estimate(lambda weight: _auroc(SCORES[score] * ours[known], label[known], weight[known]), drawn)
    return Agreement(
        score,
        len(ours),
        _estimate(lambda weight: _pearson(ours, measured, weight), drawn),
        _estimate(lambda weight: _pearson(_ranks(ours, weight), _ranks(measured, weight), weight), drawn),
        ranked,
        positives,
        negatives,
    )


def _estimate(figure: Callable[[NDArray[np.float64]], float], drawn: NDArray[np.uint16]) -> Estimate:
    """A figure of weighted rows, over all of them and in each resample."""
    value = figure(np.ones(drawn.shape[1]))
    return Estimate(value, np.array([figure(weight.astype(np.float64)) for weight in drawn]))


def _pearson(x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Pearson's r of weighted rows; NaN where one of the two does not vary."""
    drawn = weight > 0
    if np.ptp(x[drawn]) == 0 or np.ptp(y[drawn]) == 0:
        return np.nan
    x, y = x - np.average(x, weights=weight), y - np.average(y, weights=weight)
    return float((weight * x * y).sum() / np.sqrt((weight * x * x).sum() * (weight * y * y).sum()))


def _ranks(values: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean rank of each row among rows that occur `weight` times."""
    _, place = np.unique(values, return_inverse=True)
    size = np.bincount(place, weight)
    return (np.cumsum(size) - (size - 1) / 2)[place]


def _auroc(score: NDArray[np.float64], label: NDArray[np.integer], weight: NDArray[np.float64]) -> float:
    """AUROC of rows that occur `weight` times; NaN where a class is absent."""
    times = weight.astype(np.int64)
    value = auroc(np.repeat(score, times), np.repeat(label, times))
    return np.nan if value is None else value
