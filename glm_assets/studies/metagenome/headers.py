"""What the header of a labelled read says: `lbl|class_id|tax_id|readlen|name/mate`.

Class id, tax id and read length are digits, of which the last two may be absent (their bars may not); a mate is a slash
and digits, or absent. The name is anything without a slash and white space; it may hold further bars.
"""

from __future__ import annotations

from typing import Final

import polars as pl

GRAMMAR: Final = "lbl|class_id|tax_id|readlen|name/mate"

SCHEMA: Final = pl.Schema(
    {
        "class_id": pl.Int64,
        "tax_id": pl.Int64,
        "declared_length": pl.Int32,
        "name": pl.String,
        "mate": pl.Int16,
    }
)

_PATTERN = (
    r"^lbl\|(?P<class_id>[0-9]+)\|(?P<tax_id>[0-9]*)\|(?P<declared_length>[0-9]*)"
    r"\|(?P<name>[^/\s]+)(?:/(?P<mate>[0-9]+))?$"
)


def parse_headers(headers: pl.Series) -> pl.DataFrame:
    """Read the fields of headers.

    Args:
        headers: (n,) whole header lines, without the `>` or `@`.

    Returns:
        n rows of `SCHEMA`. All are null where the header does not follow the grammar as a whole, or has a number that
        is too large to be what it says; `tax_id`, `declared_length` and `mate` also where it has none.
    """
    fields = headers.str.extract_groups(_PATTERN).struct.unnest()
    # An absent field is an empty string; what is left of it after a failed cast must not pass for absent.
    texts = fields.with_columns(pl.all().replace("", None))
    numbers = texts.with_columns(pl.col(name).cast(dtype, strict=False) for name, dtype in SCHEMA.items())
    fits = pl.all_horizontal(numbers[name].is_not_null() == texts[name].is_not_null() for name in SCHEMA)
    return numbers.select(pl.when(fits).then(pl.col(name)).alias(name) for name in SCHEMA)
