"""A Dagster asset platform for genomic language models.

In a notebook, `glm_assets.load` gives its tables as polars frames and `glm_assets.vectors` gives vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import numpy as np
    import polars as pl
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

__all__ = ["load", "open_warehouse", "vectors"]


def load(
    name: str,
    *,
    chrom: str | None = None,
    columns: Sequence[str] | None = None,
    data_root: str | PathLike[str] | None = None,
) -> pl.DataFrame:
    """Read a table, such as `glm_assets.load("variant_windows", chrom="13")`.

    Args:
        name: Of the table; an unknown one gives an error that lists them.
        chrom: Of a table with partitions only this one; by default all that are there, in order.
        columns: Only these.
        data_root: Folder or URL; what `GLM_DATA_ROOT` says by default, as all other settings come from the environment.

    Returns:
        The rows as they were made. A warning says what has changed where that is not what would be made today.

    Raises:
        SettingsError: There is no such table, or it has no partitions but one was named.
        MissingUpstreamError: It was never made; the message has the command that makes it.
    """
    from glm_assets.notebook import load_table

    return load_table(name, chrom=chrom, columns=columns, data_root=data_root)


def vectors(
    chrom: str, *, kind: str = "pooled", data_root: str | PathLike[str] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Vectors of a chromosome's variants, in the order of the rows of `variant_windows`.

    Args:
        chrom: Chromosome.
        kind: `pooled` (what heads take), `covariance` or `likelihood`.
        data_root: As of `load`.

    Returns:
        Reference vectors and differences variant - reference, each (n, dimension).

    Raises:
        SettingsError: There is no such kind.
        MissingUpstreamError: They were never made.
    """
    from glm_assets.notebook import load_vectors

    return load_vectors(chrom, kind=kind, data_root=data_root)


def open_warehouse(*, data_root: str | PathLike[str] | None = None) -> DuckDBPyConnection:
    """A DuckDB connection with a view for every table that is there, wherever the data root lies.

    Args:
        data_root: As of `load`.

    Raises:
        MissingUpstreamError: There is no table yet.
        StorageError: The object store cannot be reached.
    """
    from glm_assets.notebook import open_views

    return open_views(data_root)
