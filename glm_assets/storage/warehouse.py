"""The warehouse: one DuckDB file of views over the Parquet tables.

Parquet is the truth; the file holds no data. It is rebuilt beside the old one and swapped in, so that no reader
blocks a writer and no partition waits for another.
"""

from __future__ import annotations

from collections.abc import Iterable
from glob import escape
from pathlib import Path

from glm_assets.storage.atomic import atomic_path
from glm_assets.storage.tables import PART, Table

WAREHOUSE = "warehouse.duckdb"


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
    """
    import duckdb
    from filelock import FileLock

    warehouse.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(warehouse.with_name(f".{warehouse.name}.lock")), atomic_path(warehouse) as fresh:
        views = []
        with duckdb.connect(str(fresh)) as connection:
            for table in published:
                folder, pattern = _files(tables.resolve(), table)
                if not any(folder.glob(pattern)):
                    continue
                source = f"{escape(str(folder))}/{pattern}".replace("'", "''")
                connection.execute(
                    f"CREATE VIEW \"{table.name}\" AS FROM read_parquet('{source}', hive_partitioning=false)"
                )
                views.append(table.name)
    return views


def _files(tables: Path, table: Table) -> tuple[Path, str]:
    """The folder of a table's files, and the pattern they follow there."""
    if table.file:
        file = tables / table.file
        return file.parent, file.name
    folder = tables / table.name
    return folder, PART if (folder / PART).is_file() else f"chrom=*/{PART}"
