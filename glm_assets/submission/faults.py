"""The rules that a row of the test CSV must keep, and the report of the rows that break them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from glm_assets.errors import SubmissionError

_PLACE = ("row", "line", "ID")
_FAULTS_SHOWN = 5
_ID_SHOWN = 40
_NOT_A_BASE = "([^ACGTNacgtn])"


def refuse_faults(csv: Path, rows: pl.DataFrame, *, width: int, max_length: int) -> None:
    """Raise one error that lists the first few faults of a file, if it has any.

    Args:
        csv: The file, for the message.
        rows: `row` (1-based data row), `line` (1-based line of the file), `fields` (how many the row has), `ID`
            and `seq` (text, empty where the row has too few fields).
        width: Fields in the header.
        max_length: Longest sequence that is accepted, in bases.

    Raises:
        SubmissionError: At least one row breaks a rule; names row, line, ID and fault.
    """
    faults = find_faults(rows, width=width, max_length=max_length)
    if faults.is_empty():
        return
    shown = "; ".join(_describe(fault) for fault in faults.head(_FAULTS_SHOWN).iter_rows(named=True))
    rest = faults.height - _FAULTS_SHOWN
    more = f"; and {rest:,} more" if rest > 0 else ""
    count = f"{faults.height:,} fault" + ("s" if faults.height > 1 else "")
    raise SubmissionError(
        f"{csv} has {count} in {rows.height:,} rows: {shown}{more}",
        expected=f"in every row {width} fields, an ID of its own and a sequence of 1 to {max_length:,} letters "
        "A, C, G, T or N (lower case is accepted)",
        fix="correct these rows; write U as T and any other unknown base as N",
    )


def find_faults(rows: pl.DataFrame, *, width: int, max_length: int) -> pl.DataFrame:
    """List every broken rule: `row`, `line`, `ID`, `fault`, by row.

    A row with a wrong number of fields is reported for that alone, because its columns are shifted.

    Args:
        rows: As in `refuse_faults`.
        width: Fields in the header.
        max_length: Longest sequence that is accepted, in bases.
    """
    rows = rows.with_columns(first_use=pl.col("row").first().over("ID"))
    ragged, whole = rows.filter(pl.col("fields") != width), rows.filter(pl.col("fields") == width)
    shifted = pl.format(f"it has {{}} instead of {width} fields", "fields")
    faults = [ragged.select(*_PLACE, fault=shifted)]
    faults += [whole.filter(broken).select(*_PLACE, fault=fault) for broken, fault in _rules(max_length)]
    return pl.concat(faults).sort("row", maintain_order=True)


def _rules(max_length: int) -> list[tuple[pl.Expr, pl.Expr]]:
    """Pairs of (whether a row breaks the rule, what to say about it)."""
    name, seq = pl.col("ID"), pl.col("seq")
    no_name = name.str.strip_chars() == ""
    repeated = pl.col("row") != pl.col("first_use")
    length = seq.str.len_chars()
    letter = seq.str.extract(_NOT_A_BASE)
    # Everything before the first character that is not a base is ASCII, so its byte offset counts bases.
    place = seq.str.find(_NOT_A_BASE) + 1
    return [
        (no_name, pl.lit("the ID is empty")),
        (name.str.contains("[[:cntrl:]]"), pl.lit("the ID holds a line break or a control character")),
        (~no_name & repeated, pl.format("the ID is already that of row {}", "first_use")),
        (length == 0, pl.lit("the sequence is empty")),
        (length > max_length, pl.format(f"the sequence has {{}} bases, more than {max_length}", length)),
        (letter.is_not_null(), pl.format("base {} is '{}'", place, letter)),
    ]


def _describe(fault: dict[str, object]) -> str:
    """Put one fault on one line: `row 3 (line 4), ID 'a': the sequence is empty`."""
    name = str(fault["ID"])
    name = name if len(name) <= _ID_SHOWN else name[:_ID_SHOWN] + "..."
    return _printable(f"row {fault['row']} (line {fault['line']}), ID '{name}': {fault['fault']}")


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
