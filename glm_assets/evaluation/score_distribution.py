"""How scores are distributed, in numbers, and in which order they rank what was scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

_COUNTS: Final = ("n", "outliers_low", "outliers_high")
_FIGURES: Final = (
    *("n", "mean", "sd", "min", "q1", "median", "q3", "max", "iqr", "skew", "kurtosis"),
    *("outliers_low", "outliers_high", "below_q1", "above_q3"),
)
_FENCE: Final = 1.5
"""Tukey's: a score so many interquartile ranges beyond a quartile is an outlier."""


def score_statistics(scores: Mapping[str, NDArray[np.floating]]) -> pl.DataFrame:
    """What people ask about a distribution.

    Args:
        scores: (n,) finite numbers of each group, such as a model.

    Returns:
        A row per group: `group`, `n`, `mean`, `sd` (of a sample), `min`, `q1`, `median`, `q3`, `max`, `iqr`, `skew`,
        `kurtosis` (excess: 0 of a normal distribution), `outliers_low` and `outliers_high` (beyond 1.5 interquartile
        ranges), `below_q1` and `above_q3` (shares). Null where a figure does not exist.
    """
    rows = [{"group": name, **_statistics(values.astype(np.float64))} for name, values in scores.items()]
    schema = {"group": pl.String} | {name: pl.Int64 if name in _COUNTS else pl.Float64 for name in _FIGURES}
    return pl.DataFrame(rows, schema, orient="row")


def ranking(table: pl.DataFrame, score: str, *, label: str) -> pl.DataFrame:
    """Rows from the highest score to the lowest, with their `rank` from 1 in front.

    Args:
        table: With a score and a name in each row.
        score: Column of the score; rows without one are left out.
        label: Column that decides between equal scores, so that the order is always the same; they share a rank.
    """
    scored = table.filter(pl.col(score).is_not_null() & pl.col(score).is_not_nan())
    ordered = scored.sort([score, label], descending=[True, False], maintain_order=True)
    return ordered.select(pl.col(score).rank("min", descending=True).cast(pl.Int64).alias("rank"), pl.all())


def _statistics(values: NDArray[np.float64]) -> dict[str, float | int | None]:
    from scipy import stats

    n = len(values)
    if not n:
        return dict.fromkeys(_FIGURES) | dict.fromkeys(_COUNTS, 0)
    q1, median, q3 = np.percentile(values, [25, 50, 75]).tolist()
    spread, varies = q3 - q1, float(np.ptp(values)) > 0
    return {
        "n": n,
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)) if n > 1 else None,
        "min": float(values.min()),
        "q1": q1,
        "median": median,
        "q3": q3,
        "max": float(values.max()),
        "iqr": spread,
        "skew": float(stats.skew(values)) if varies else None,
        "kurtosis": float(stats.kurtosis(values)) if varies else None,
        "outliers_low": int((values < q1 - _FENCE * spread).sum()),
        "outliers_high": int((values > q3 + _FENCE * spread).sum()),
        "below_q1": float((values < q1).mean()),
        "above_q3": float((values > q3).mean()),
    }
