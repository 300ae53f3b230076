"""A model before and after training, judged on the same rows: means, correlations, and the differences' intervals.

Both are judged on the same resamples, which cancels what makes a resample easy or hard for both.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.evaluation.bootstrap import Estimate, Resamples, combine, effective_clusters
from glm_assets.evaluation.correlations import correlations
from glm_assets.evaluation.estimate_table import numbered

SCHEMA: Final = pl.Schema(
    {
        "figure": pl.String(),
        "before": pl.Float64(),
        "after": pl.Float64(),
        "difference": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "rows": pl.Int64(),
    }
)

Numbers = NDArray[np.float64]


def compare_means(figure: str, before: Numbers, after: Numbers, *, resamples: int, seed: int) -> pl.DataFrame:
    """The means of both, and of their difference row by row.

    Args:
        figure: What is compared, for the column of that name.
        before: (n,) finite numbers, n >= 1.
        after: (n,) of the same rows.
        resamples: How many, of rows.
        seed: Of the draws.

    Returns:
        One row of `SCHEMA`; no interval of fewer than five rows.

    Raises:
        EvaluationError: There is no row.
    """
    cluster = numbered(np.arange(len(before)))
    drawn = Resamples.draw(cluster, resamples, seed)
    every = np.ones(len(before), dtype=bool)
    means = [drawn.mean(values.astype(np.float64), every) for values in (before, after)]
    return _rows({figure: (means[0], means[1])}, cluster)


def compare_correlations(
    before: Numbers, after: Numbers, measured: Numbers, source: NDArray, *, resamples: int, seed: int
) -> tuple[pl.DataFrame, dict[str, tuple[Estimate, Estimate]]]:
    """Pearson's and Spearman's correlations of both with what was measured.

    Args:
        before: (n,) finite scores, n >= 1.
        after: (n,) of the same rows.
        measured: (n,) finite numbers.
        source: (n,) what rows are resampled by, such as the sequence: the same one measured twice is no two.
        resamples: How many.
        seed: Of the draws.

    Returns:
        Two rows of `SCHEMA`, `pearson` and `spearman`; and these figures with their resamples by name, before and
        after, without intervals where there are too few sources.

    Raises:
        EvaluationError: There is no row.
    """
    cluster = numbered(source)
    drawn = Resamples.draw(cluster, resamples, seed)
    both = [correlations(scores.astype(np.float64), measured, drawn) for scores in (before, after)]
    found = {name: (both[0][place], both[1][place]) for place, name in enumerate(("pearson", "spearman"))}
    clusters = effective_clusters(cluster)
    trusted = {name: (old.trusted(clusters), new.trusted(clusters)) for name, (old, new) in found.items()}
    return _rows(found, cluster), trusted


def _rows(found: dict[str, tuple[Estimate, Estimate]], cluster: NDArray[np.int64]) -> pl.DataFrame:
    clusters = effective_clusters(cluster)
    rows = []
    for name, (before, after) in found.items():
        difference = combine(np.subtract, after, before).trusted(clusters)
        rows.append((name, before.value, after.value, difference.value, *difference.interval(), len(cluster)))
    return pl.DataFrame(rows, SCHEMA, orient="row").with_columns(pl.col(pl.Float64).fill_nan(None))
