"""The warehouse: one DuckDB file of views over the Parquet tables.

Parquet is the truth; the file holds no data. It is rebuilt beside the old one and swapped in, so that no reader
blocks a writer and no partition waits for another.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from glm_assets.errors import FormatError, MissingUpstreamError
from glm_assets.genome.contigs import CHROMOSOMES
from glm_assets.storage.atomic import atomic_path, remove_leftovers
from glm_assets.storage.disk_space import explained_room, is_full
from glm_assets.storage.remote_root import RemoteRoot
from glm_assets.storage.tables import OUTER_VALUE, Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

WAREHOUSE = "warehouse.duckdb"

_CHROMOSOME = f"chrom=(?:{'|'.join(CHROMOSOMES)})"
_VALUE = OUTER_VALUE.pattern


def refresh_warehouse(tables: Path, warehouse: Path, published: Iterable[Table]) -> list[str]:
    """Write a warehouse with a view for every table that has at least one file.

    Views name files by absolute path and read `chrom` from the files: inferred from the folder names it would turn
    into a number.

    Args:
        tables: Folder of the tables.
        warehouse: DuckDB file to replace.
        published: Tables to show.

    Returns:
        Names of the views.

    Raises:
        FormatError: A file of a table is damaged.
        StorageError: The disk is full.
    """
    from filelock import FileLock

    warehouse.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(warehouse.with_name(f".{warehouse.name}.lock")), explained_room(warehouse.parent):
        remove_leftovers(warehouse)
        return _write_views(tables, warehouse, published)


def _write_views(tables: Path, warehouse: Path, published: Iterable[Table]) -> list[str]:
    import duckdb

    with atomic_path(warehouse) as fresh:
        views = []
        with duckdb.connect(str(fresh)) as connection:
            for table in published:
                pattern = next((each for each in table.patterns if any(tables.glob(each))), None)
                if pattern is None:
                    continue
                place = f"{escape(str(tables.resolve()))}/{pattern}"
                _create_view(connection, table.name, [place], warehouse.name)
                views.append(table.name)
    return views


def _create_view(connection: DuckDBPyConnection, name: str, sources: Iterable[str], place: str) -> None:
    """Show Parquet files as a view.

    Args:
        connection: Of the warehouse.
        name: Of the view.
        sources: Patterns of the files' names.
        place: Where the views are, for messages.

    Raises:
        FormatError: A file is damaged.
    """
    import duckdb

    quoted = ", ".join("'{}'".format(source.replace("'", "''")) for source in sources)
    try:
        connection.execute(f'CREATE VIEW "{name}" AS FROM read_parquet([{quoted}], hive_partitioning=false)')
    except duckdb.Error as error:
        if is_full(error):
            raise
        raise FormatError(
            f"the table {name} cannot be shown in {place} ({str(error).splitlines()[0]})",
            expected="Parquet files as they were written",
            fix=f"remove the file that is named here and materialise {name} again",
        ) from error


def open_warehouse(warehouse: Path) -> DuckDBPyConnection:
    """Open a warehouse's file for reading.

    Raises:
        MissingUpstreamError: There is none.
        FormatError: It is damaged.
    """
    import duckdb

    if not warehouse.is_file():
        raise MissingUpstreamError(f"there is no {warehouse}", fix="materialise an asset that is a table")
    try:
        return duckdb.connect(str(warehouse), read_only=True)
    except duckdb.Error as error:
        raise FormatError(
            f"{warehouse} cannot be opened ({error})",
            expected="the views that every materialisation writes anew",
            fix="close what holds it open, or materialise any table; the file holds no data",
        ) from error


def open_remote_warehouse(remote: RemoteRoot, tables: str, published: Iterable[Table]) -> DuckDBPyConnection:
    """Make the same views over the tables of an object store, as they are there now.

    They live in memory: a file of them would be of no use without the file system that reads their addresses.

    Args:
        remote: The data root.
        tables: Name of the folder of tables in it.
        published: Tables to show.

    Raises:
        MissingUpstreamError: There is no table yet.
        FormatError: A file of a table is damaged.
        StorageError: The object store cannot be reached.
    """
    import duckdb

    names = remote.entries(tables)
    found = {table.name: files for table in published if (files := _remote_files(names, table))}
    if not found:
        raise MissingUpstreamError(
            f"there is no table in {remote.url}", fix="materialise an asset that is a table"
        )
    connection = duckdb.connect()
    connection.register_filesystem(remote.files)
    for view, files in found.items():
        sources = [escape(remote.address(f"{tables}/{file}")) for file in files]
        _create_view(connection, view, sources, remote.url)
    return connection


def _remote_files(names: Collection[str], table: Table) -> list[str]:
    """A table's files among the names in the folder of tables, whoever wrote them."""
    for pattern in table.patterns:
        exact = re.compile(re.escape(pattern).replace(r"chrom=\*", _CHROMOSOME).replace(r"\*", _VALUE))
        if found := sorted(name for name in names if exact.fullmatch(name)):
            return found
    return []
