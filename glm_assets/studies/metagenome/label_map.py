"""Which class ids a label has, and which number a label: its place among the sorted labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import polars as pl

from glm_assets.errors import FormatError
from glm_assets.sources.delimited import read_delimited
from glm_assets.storage.atomic import write_json

LABEL_TO_ID: Final = "label2id.json"
ID_TO_LABEL: Final = "id2label.json"

SCHEMA: Final = pl.Schema(
    {
        "class_id": pl.Int64,
        "label": pl.String,
        "label_index": pl.Int32,
        "mapped_tax_id": pl.Int64,
        "group": pl.String,
        "notes": pl.String,
    }
)

_REQUIRED = ("class_id", "label_name")
_OPTIONAL = ("tax_id", "group", "notes")


@dataclass(frozen=True)
class LabelMap:
    """Class ids and their labels.

    Attributes:
        frame: One row per class id, in the order of the file; columns of `SCHEMA`.
    """

    frame: pl.DataFrame

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Each label once, sorted by code point; a label's index is its place here."""
        return tuple(sorted(set(self.frame["label"].to_list())))

    @property
    def label2id(self) -> dict[str, int]:
        """Index of each label."""
        return {label: index for index, label in enumerate(self.labels)}

    @property
    def id2label(self) -> dict[int, str]:
        """Label of each index."""
        return dict(enumerate(self.labels))

    @property
    def tax_ids(self) -> dict[str, int | None]:
        """Taxonomy id of each label; None where the file has none or several."""
        ids = self.frame.group_by("label").agg(pl.col("mapped_tax_id").drop_nulls().unique())
        return {label: found[0] if len(found) == 1 else None for label, found in ids.iter_rows()}


def read_label_map(path: Path) -> LabelMap:
    """Read the mapping of class ids to labels.

    Args:
        path: TSV, CSV or a file with semicolons; columns class_id, label_name and, if it likes, tax_id, group, notes.

    Raises:
        FormatError: A column is lacking, an id is no whole number, a label is empty, a class id has two labels, or
            there is none at all.
    """
    rows: dict[int, tuple[int, str, int | None, str | None, str | None]] = {}
    for line, (class_id, label, tax_id, group, notes) in read_delimited(path, _REQUIRED, _OPTIONAL):
        number = _whole(path, line, "class_id", class_id)
        if number is None or not label:
            raise FormatError(
                f"{path.name}, line {line}: {'label_name' if number is not None else 'class_id'} is empty",
                expected="a class id and a label name in every row",
            )
        if number in rows and rows[number][1] != label:
            raise FormatError(
                f"{path.name}, line {line}: class id {number} is {label!r}, and {rows[number][1]!r} before",
                expected="one label per class id; a label may have several ids",
                fix="remove one of the two rows",
            )
        rows.setdefault(
            number, (number, label, _whole(path, line, "tax_id", tax_id), group or None, notes or None)
        )
    if not rows:
        raise FormatError(
            f"{path.name} has no row below its header", expected="at least one class id and its label"
        )
    columns = {name: dtype for name, dtype in SCHEMA.items() if name != "label_index"}
    frame = pl.DataFrame(list(rows.values()), schema=columns, orient="row")
    indices = {label: index for index, label in enumerate(sorted(set(frame["label"].to_list())))}
    index = pl.col("label").replace_strict(indices, return_dtype=pl.Int32).alias("label_index")
    return LabelMap(frame.with_columns(index).select(list(SCHEMA)))


def write_labels(labels: Sequence[str], folder: Path) -> None:
    """Write `label2id.json` and `id2label.json` as the Hugging Face libraries read them.

    Args:
        labels: In the order of their indices.
        folder: Where; it must exist.
    """
    write_json(folder / LABEL_TO_ID, {label: index for index, label in enumerate(labels)})
    write_json(folder / ID_TO_LABEL, {str(index): label for index, label in enumerate(labels)})


def _whole(path: Path, line: int, column: str, text: str) -> int | None:
    """A whole number that a spreadsheet may have written with a decimal point; None for an empty field."""
    digits = text.removesuffix(".0")
    if not digits:
        return None
    if not (digits.isascii() and digits.isdigit()) or int(digits) >= 2**63:
        raise FormatError(f"{path.name}, line {line}: {column} is {text!r}", expected="a whole number")
    return int(digits)
