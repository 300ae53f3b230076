"""Tables that are larger than memory: Parquet files written a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from glm_assets.storage.tables import COMPRESSION_LEVEL, Table


class TableWriter:
    """Writes batches of a table; made by `write_batches`.

    Attributes:
        rows: Rows so far.
    """

    def __init__(self, table: Table, writer: pq.ParquetWriter) -> None:
        self._table = table
        self._writer = writer
        self.rows = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Write the next rows, as a row group of their own.

        Raises:
            FormatError: They are not as the table's columns are.
        """
        self._table.check(frame)
        if frame.height:
            self._writer.write_table(frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
            self.rows += frame.height


@contextmanager
def write_batches(table: Table, path: Path) -> Iterator[TableWriter]:
    """Write a table's Parquet file in batches.

    Args:
        table: What its columns must be.
        path: File to write; the caller publishes it. It is a whole Parquet file when the block has ended.

    Yields:
        Takes the batches.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = table.schema.to_frame().to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=COMPRESSION_LEVEL) as writer:
        yield TableWriter(table, writer)
