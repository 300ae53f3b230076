"""From scores to probabilities, and how far those can be believed.

A calibration is fitted on val and judged on the sealed test. Its probabilities hold for val's share of pathogenic
variants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import EvaluationError

Scale = Literal["identity", "log", "logit"]

BINS: Final = 10

_Z: Final = 1.959963984540054
"""Of a 95 % interval."""


@dataclass(frozen=True)
class Calibrator:
    """Platt's calibration: a logistic curve over a transformed score.

    Attributes:
        scale: What is transformed first: `log` for distances, `logit` for probabilities, `identity` for scores
            that are log-odds already, such as log-likelihood ratios.
        slope: Log-odds per unit of the transformed score, never negative.
        intercept: Log-odds where it is 0.
        floor: Scores (and, for `logit`, their distance to 1) count as at least this much before the logarithm.
    """

    scale: Scale
    slope: float
    intercept: float
    floor: float

    @classmethod
    def fit(
        cls, score: NDArray[np.floating], label: NDArray[np.integer], *, scale: Scale = "identity"
    ) -> Calibrator:
        """Fit slope and intercept by maximum likelihood, with Platt's smoothed targets.

        The targets are (P + 1) / (P + 2) and 1 / (B + 2) instead of 1 and 0, so that a perfect separation has a
        finite slope.

        Args:
            score: (n,) finite scores of validation rows.
            label: (n,) 1 pathogenic, 0 benign.
            scale: How scores are transformed.

        Raises:
            EvaluationError: A class is absent, or a score is not finite.
        """
        from sklearn.linear_model import LogisticRegression

        positives, negatives = int((label == 1).sum()), int((label == 0).sum())
        if not positives or not negatives:
            raise EvaluationError(
                f"calibration on {positives:,} pathogenic and {negatives:,} benign rows", expected="both classes"
            )
        if not np.isfinite(score).all():
            raise EvaluationError("calibration on scores that are not finite", expected="a number for each row")
        floor = _floor(score, scale)
        x = _transform(score, scale, floor)
        centre, spread = float(x.mean()), float(x.std()) or 1.0
        target = np.where(label == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
        features = np.tile((x - centre) / spread, 2)[:, None]
        outcome = np.repeat([1, 0], len(x))
        model = LogisticRegression(C=np.inf, max_iter=1000, tol=1e-8)
        model.fit(features, outcome, sample_weight=np.concatenate([target, 1 - target]))
        slope = float(np.ravel(model.coef_)[0]) / spread
        if slope < 0:  # larger is more pathogenic: a curve that turns that round would hide a useless score
            share = float(target.mean())
            return cls(scale, 0.0, float(np.log(share / (1 - share))), floor)
        return cls(scale, slope, float(np.ravel(model.intercept_)[0]) - slope * centre, floor)

    def apply(self, score: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probabilities (n,) of being pathogenic; NaN where the score (n,) is."""
        log_odds = self.slope * _transform(score, self.scale, self.floor) + self.intercept
        return 0.5 * (1 + np.tanh(log_odds / 2))


def brier_score(probability: NDArray[np.float64], label: NDArray[np.integer]) -> float:
    """Mean squared difference of probability (n,) and label (n,)."""
    return float(np.square(probability - label).mean())


def expected_calibration_error(
    probability: NDArray[np.float64], label: NDArray[np.integer], bins: int = BINS
) -> float:
    """Mean over rows of |share of pathogenic - mean probability| of the row's bin, the bins equally large.

    Args:
        probability: (n,) probabilities of being pathogenic.
        label: (n,) 1 or 0.
        bins: How many.
    """
    curve = reliability(probability, label, bins)
    gaps = (curve["observed"] - curve["probability"]).abs() * curve["rows"]
    return float(gaps.sum()) / len(label)


def reliability(probability: NDArray[np.float64], label: NDArray[np.integer], bins: int = BINS) -> pl.DataFrame:
    """Mean probability and share of pathogenic rows, by bins of equally many rows.

    Args:
        probability: (n,) probabilities of being pathogenic, n >= 1.
        label: (n,) 1 or 0.
        bins: How many; as many as there are rows, if those are fewer.

    Returns:
        A row per bin: `bin`, `rows`, `probability`, `observed`, and `low` and `high` of its 95 % interval (Wilson).
    """
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    rows = np.array([len(part) for part in parts])
    observed = np.array([(label[part] == 1).mean() for part in parts])
    low, high = _wilson(observed, rows)
    return pl.DataFrame(
        {
            "bin": np.arange(len(parts), dtype=np.int64),
            "rows": rows.astype(np.int64),
            "probability": [float(probability[part].mean()) for part in parts],
            "observed": observed,
            "low": low,
            "high": high,
        }
    )


def _wilson(
    share: NDArray[np.float64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    centre = share + _Z**2 / (2 * rows)
    half = _Z * np.sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2))
    scale = 1 + _Z**2 / rows
    return np.maximum((centre - half) / scale, 0.0), np.minimum((centre + half) / scale, 1.0)


def _floor(score: NDArray[np.floating], scale: Scale) -> float:
    """The smallest positive value of val: a distance of 0 says no more than the smallest one seen."""
    if scale == "identity":
        return 0.0
    seen = score if scale == "log" else np.concatenate([score, 1 - score])
    positive = seen[seen > 0]
    return float(positive.min()) if len(positive) else 1e-300


def _transform(score: NDArray[np.floating], scale: Scale, floor: float) -> NDArray[np.float64]:
    score = score.astype(np.float64)
    if scale == "identity":
        return score
    if scale == "log":
        return np.log(np.maximum(score, floor))
    return np.log(np.maximum(score, floor)) - np.log(np.maximum(1 - score, floor))
