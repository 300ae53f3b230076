"""The data dictionary: every published table, its rows and columns, as a page. `make docs` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from glm_assets.storage.schemas import PUBLISHED, RECORDS
from glm_assets.storage.tables import Column, Table

_HEAD = """\
# Data dictionary

Written from the schemas in `glm_assets/storage` by `make docs`; the writer of each table enforces them. Tables are
Parquet at `<data root>/tables/<table>/[chrom=<C>/]part.parquet` and views of the same names in `warehouse.duckdb`.
Coordinates are 0-based and half-open, except the column `pos`: the 1-based VCF position.
"""


def data_dictionary(tables: Iterable[Table]) -> str:
    """The page in Markdown, a section a table.

    Args:
        tables: In the order of the sections.
    """
    return "\n".join([_HEAD, *map(_section, tables)])


def _section(table: Table) -> str:
    rows = [_row(column) for column in table.columns]
    head = [f"## {table.name}", "", table.description, "", "| column | type | meaning |", "|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def _row(column: Column) -> str:
    cells = (f"`{column.name}`", str(column.dtype), column.description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(data_dictionary([RECORDS, *PUBLISHED]))
