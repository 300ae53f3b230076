"""Figures with their intervals as a table, and clusters of rows numbered by the names of their sources."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.bootstrap import Estimate, Resamples, effective_clusters


def resample_sources(source: NDArray, resamples: int, seed: int) -> Resamples:
    """Resamples of the sources of rows: genomes of reads, variants of reads.

    Args:
        source: (n,) name or number of each row's source.
        resamples: How many.
        seed: Of the draws.

    Raises:
        EvaluationError: There is no row, or no resample is asked for.
    """
    return Resamples.draw(numbered(source), resamples, seed)


def numbered(source: NDArray) -> NDArray[np.int64]:
    """(n,) number of each row's source, 0 to sources - 1.

    Raises:
        EvaluationError: There is no row.
    """
    if not len(source):
        raise EvaluationError("no rows to evaluate", expected="at least one")
    return np.unique(source, return_inverse=True)[1].astype(np.int64)


def trusted(estimates: Mapping[str, Estimate], cluster: NDArray[np.int64]) -> dict[str, Estimate]:
    """The estimates, without intervals where the sources (n,) of the rows are too few to be resampled."""
    clusters = effective_clusters(cluster)
    return {name: estimate.trusted(clusters) for name, estimate in estimates.items()}


def estimate_table(estimates: Mapping[str, Estimate]) -> pl.DataFrame:
    """A row per figure: `figure`, `value`, and `low` and `high` of its 95 % interval; null where it does not exist.

    Args:
        estimates: Name to figure.
    """
    rows = [(name, one.value, *one.interval()) for name, one in estimates.items()]
    schema = {"figure": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64}
    return pl.DataFrame(rows, schema, orient="row").with_columns(pl.col(pl.Float64).fill_nan(None))
