"""A CSV file as rows of text, each with the line it starts on.

Knows about encodings, quotes and line ends; nothing about IDs and sequences. A fault here makes the whole file
unreadable, so it is raised at once.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from glm_assets.errors import SubmissionError

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_PLAIN_CSV = "a comma-separated text file in UTF-8"
_SAVE_AS = "save the file again as CSV UTF-8 (comma-separated)"


@dataclass(frozen=True)
class CsvRows:
    """The text of a CSV file.

    Attributes:
        columns: Header names, without surrounding whitespace.
        rows: Fields of every row below the header that is not blank; rows may differ in length.
        lines: 1-based line of the file on which each row starts.
        blank_lines: Lines without any character, which are skipped.
        bom: Whether the file starts with a UTF-8 byte-order mark, which is removed.
    """

    columns: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    blank_lines: int
    bom: bool


def read_rows(path: Path) -> CsvRows:
    r"""Read a whole CSV file; lines may end in `\n`, `\r\n` or `\r`, fields may be quoted.

    Raises:
        SubmissionError: The file is missing, empty, not UTF-8, holds NUL bytes or has broken quotes.
    """
    text, bom = _decode(path)
    numbered = list(_records(path, text))
    filled = [(line, fields) for line, fields in numbered if fields]
    if not filled:
        raise SubmissionError(f"{path} is empty", expected="a header and at least one row")
    (_, header), *body = filled
    return CsvRows(
        columns=tuple(name.strip() for name in header),
        rows=[fields for _, fields in body],
        lines=[line for line, _ in body],
        blank_lines=len(numbered) - len(filled),
        bom=bom,
    )


def read_header(path: Path) -> tuple[str, ...]:
    """Read only the header names of a CSV file, without surrounding whitespace; empty for an empty file.

    Raises:
        OSError: The file cannot be opened.
        UnicodeDecodeError: Its beginning is not UTF-8.
        csv.Error: Its first line has broken quotes.
    """
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return tuple(name.strip() for name in next(csv.reader(stream, strict=True), []))


def _decode(path: Path) -> tuple[str, bool]:
    """Return the text without its byte-order mark, and whether there was one."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SubmissionError(f"{path} cannot be read ({error.strerror})", expected=_PLAIN_CSV) from error
    if data.startswith(_UTF16_MARKS):
        raise SubmissionError(f"{path} is encoded in UTF-16", expected=_PLAIN_CSV, fix=_SAVE_AS)
    if (offset := data.find(b"\0")) >= 0:
        raise SubmissionError(
            f"{path} holds a NUL byte at {_place(data, offset)}", expected=_PLAIN_CSV, fix=_SAVE_AS
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SubmissionError(
            f"{path} is not UTF-8: byte 0x{data[error.start]:02x} at {_place(data, error.start)}",
            expected=_PLAIN_CSV,
            fix=_SAVE_AS,
        ) from error
    return text.removeprefix("\ufeff"), data.startswith(codecs.BOM_UTF8)


def _place(data: bytes, offset: int) -> str:
    line_start = data.rfind(b"\n", 0, offset) + 1
    line = data.count(b"\n", 0, offset) + 1
    return f"line {line}, byte {offset - line_start + 1}"


def _records(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (1-based line on which it starts, fields) of every record; a blank line has no fields."""
    # The default limit of 131,072 characters would hide how long an over-long sequence is.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for fields in reader:
            yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise SubmissionError(
            f"{path} has broken quotes in the row that starts on line {line} ({error})",
            expected="fields without quotes, or with a quote at both ends",
            fix="remove the quotes around IDs and sequences; they need none",
        ) from error
