"""How our scores agree with an experiment: correlations and AUROC, with intervals by variant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.evaluation.bootstrap import Estimate, Resamples
from glm_assets.evaluation.correlations import correlations, row_estimate
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
    drawn = Resamples.draw(np.arange(len(ours)), resamples, seed)
    label = rows["label"].fill_null(-1).to_numpy()
    known, positives, negatives = label >= 0, int((label == 1).sum()), int((label == 0).sum())
    ranked = None
    if positives and negatives:
        turned = SCORES[score] * ours[known]
        ranked = row_estimate(lambda weight: _auroc(turned, label[known], weight[known]), drawn)
    pearson, spearman = correlations(ours, measured, drawn)
    return Agreement(
        score,
        len(ours),
        pearson,
        spearman,
        ranked,
        positives,
        negatives,
    )


def _auroc(score: NDArray[np.float64], label: NDArray[np.integer], weight: NDArray[np.float64]) -> float:
    """AUROC of rows that occur `weight` times; NaN where a class is absent."""
    times = weight.astype(np.int64)
    value = auroc(np.repeat(score, times), np.repeat(label, times))
    return np.nan if value is None else value
