"""The door for notebooks: tables as frames, vectors as arrays, and a word where they are not today's."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import FormatError, MissingUpstreamError, SettingsError
from glm_assets.lineage.study import Study
from glm_assets.planning import graph
from glm_assets.planning.staleness import standing
from glm_assets.settings import Settings
from glm_assets.storage.schemas import PUBLISHED
from glm_assets.storage.tables import Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_INDEXES: Final = {
    "pooled": "variant_embeddings",
    "covariance": "covariance_embeddings",
    "likelihood": "variant_likelihoods",
}


class StaleWarning(UserWarning):
    """What was read is not what would be made today."""


def load_table(
    name: str,
    *,
    chrom: str | None = None,
    columns: Sequence[str] | None = None,
    data_root: str | PathLike[str] | None = None,
) -> pl.DataFrame:
    """See `glm_assets.load`."""
    study, table = _study(data_root), _table(name)
    asset = graph.asset_of(Path(table.file).parts[0] if table.file else table.name)
    partitions = _partitions(study, asset, chrom)
    present = [part for part in partitions if study.recorded(graph.folder_of(study, asset, part)) is not None]
    if not present:
        option = f" --partition {partitions[0]}" if partitions[0] else ""
        raise MissingUpstreamError(
            f"table {name}{_of(partitions)} was never made in {study.settings.data_root}",
            fix=f"dagster asset materialize -m glm_assets.definitions --select {asset}{option}, or set GLM_DATA_ROOT",
        )
    _warn(study, asset, present)
    return pl.concat([_read(study, table, graph.folder_of(study, asset, part), columns) for part in present])


def load_vectors(
    chrom: str, *, kind: str = "pooled", data_root: str | PathLike[str] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """See `glm_assets.vectors`."""
    if kind not in _INDEXES:
        raise SettingsError(f"there are no vectors of kind {kind!r}", expected=f"one of {', '.join(_INDEXES)}")
    keys = load_table(_INDEXES[kind], chrom=chrom, columns=["key"], data_root=data_root)["key"]
    return _study(data_root).store().read(keys)


def open_views(data_root: str | PathLike[str] | None = None) -> DuckDBPyConnection:
    """See `glm_assets.open_warehouse`."""
    return _study(data_root).open_warehouse()


def _study(data_root: str | PathLike[str] | None) -> Study:
    settings = Settings.from_environment()
    if data_root is None:
        return Study(settings)
    return Study(Settings.model_validate(settings.model_dump() | {"data_root": str(data_root)}))


def _table(name: str) -> Table:
    for table in PUBLISHED:
        if table.name == name:
            return table
    raise SettingsError(
        f"there is no table {name!r}", expected=f"one of {', '.join(table.name for table in PUBLISHED)}"
    )


def _partitions(study: Study, asset: str, chrom: str | None) -> tuple[str, ...]:
    if chrom is None:
        return graph.partitions(study, asset)
    if not graph.ASSETS[asset].keys:
        raise SettingsError(f"{asset} has no partitions", expected="no chrom", fix="leave chrom out")
    return (chrom,)


def _of(partitions: tuple[str, ...]) -> str:
    return f" of chromosome {', '.join(partitions)}" if partitions[0] else ""


def _warn(study: Study, asset: str, partitions: list[str]) -> None:
    """Say what has changed since a table was made, once for partitions that stand alike."""
    reasons: dict[str, list[str]] = {}
    for chrom in partitions:
        state, reason = standing(study, asset, chrom)
        if state != "current":
            reasons.setdefault(reason, []).append(chrom)
    for reason, chroms in reasons.items():
        text = f"{asset}{_of(tuple(chroms))} is not what would be made today: {reason}"
        warnings.warn(text, StaleWarning, stacklevel=4)


def _read(study: Study, table: Table, folder: Path, columns: Sequence[str] | None) -> pl.DataFrame:
    path = study.files(folder) / table.file_name
    wanted = list(columns) if columns is not None else None
    try:
        return pl.read_parquet(path, columns=wanted, glob=False, hive_partitioning=False)
    except pl.exceptions.ColumnNotFoundError as error:
        raise FormatError(
            f"table {table.name} lacks a column of {wanted}", expected=f"some of {', '.join(table.schema.names())}"
        ) from error
    except (OSError, pl.exceptions.PolarsError) as error:
        raise FormatError(
            f"{path} cannot be read ({error})", fix="remove the file and materialise its asset again"
        ) from error
