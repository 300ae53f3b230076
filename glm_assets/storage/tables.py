"""Tables: columns with meaning, and Parquet files that obey them.

A `Table` is the single truth about a table: the writer enforces it, Dagster shows it and the data dictionary is made
from it. The tables themselves are listed in `glm_assets.storage.schemas`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from glm_assets.errors import FormatError

PART = "part.parquet"

OUTER_VALUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What a table's folders may be divided by, such as the name of a person or a sample."""

# Neighbouring windows overlap, so their text compresses about forty-fold with zstd.
COMPRESSION_LEVEL = 3


@dataclass(frozen=True)
class Column:
    """One column: its name, polars type and what it means."""

    name: str
    dtype: pl.DataType
    description: str


@dataclass(frozen=True)
class Table:
    """A table's name, what a row is, and its columns in order.

    Attributes:
        name: Of the table and its view.
        description: What a row is.
        columns: In order.
        file: Where it lies in the folder of tables, if it belongs to the product of another table.
        outer: What its folders are divided by above the chromosome, such as `individual`.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    file: str | None = None
    outer: str | None = None

    @property
    def file_name(self) -> str:
        """Name of its file in the folder of its product."""
        return Path(self.file).name if self.file else PART

    @property
    def patterns(self) -> tuple[str, ...]:
        """Where its files lie in the folder of tables, as glob patterns; the first that finds any has them all."""
        if self.file:
            return (self.file,)
        folder = f"{self.name}/{self.outer}=*" if self.outer else self.name
        return f"{folder}/{PART}", f"{folder}/chrom=*/{PART}"

    @property
    def schema(self) -> pl.Schema:
        """Column names and polars types, in order."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    def check(self, frame: pl.DataFrame) -> None:
        """Refuse a frame whose columns, order or types differ from the table's.

        Raises:
            FormatError: Naming the first column that differs.
        """
        for index, column in enumerate(self.columns):
            found = frame.columns[index] if index < frame.width else "nothing"
            if found != column.name or frame.schema[found] != column.dtype:
                kind = frame.schema.get(found, "absent")
                raise FormatError(
                    f"table {self.name}: column {index} is {found!r} ({kind})",
                    expected=f"{column.name!r} ({column.dtype})",
                )
        if frame.width > len(self.columns):
            raise FormatError(
                f"table {self.name} has undeclared columns {frame.columns[len(self.columns) :]}",
                expected=f"the {len(self.columns)} columns of its schema",
            )

    def write(self, frame: pl.DataFrame, path: Path) -> None:
        """Check `frame` and write it as zstd-compressed Parquet.

        Args:
            frame: Rows in the order in which they are to be kept.
            path: File to write; the caller publishes it.
        """
        self.check(frame)
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(path, compression="zstd", compression_level=COMPRESSION_LEVEL)


def table_folder(tables: Path, name: str, chrom: str | None = None, **outer: str) -> Path:
    """Folder of a table, or of its partition: `<tables>/<name>[/<outer>=<value>][/chrom=<C>]`."""
    folder = tables.joinpath(name, *(f"{key}={value}" for key, value in outer.items()))
    return folder / f"chrom={chrom}" if chrom else folder


def read_part(folder: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """Read a table folder's Parquet file.

    Args:
        folder: As `table_folder` gives it.
        columns: Only these; all by default.

    Raises:
        FormatError: The file is absent or is no Parquet file.
    """
    path = folder / PART
    try:
        return pl.read_parquet(path, columns=columns, glob=False, hive_partitioning=False)
    except (FileNotFoundError, pl.exceptions.PolarsError) as error:
        raise FormatError(
            f"{path} cannot be read ({error})",
            expected="a Parquet file",
            fix="remove the file and materialise its asset again",
        ) from error
