"""Tables that people save from spreadsheets: commas, semicolons or tabs, quotes, byte-order marks, any line ends.

Rows are read one at a time, so a file may be larger than memory.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from glm_assets.errors import FormatError
from glm_assets.sources.limited_stream import open_limited
from glm_assets.storage.limits import LIMITS

_DELIMITERS = ("\t", ",", ";")
_SAVE_AS = "save it again as CSV UTF-8"
# Excel writes and reads this line to say what divides the fields of the others.
_SEPARATOR_LINE = "sep="
_SHOWN = 12  # names of columns in a message

Row = tuple[int, tuple[str, ...]]


def read_delimited(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """Read some columns of a table whose first line names them.

    The header line tells what divides the fields. Names are compared without regard to case and to surrounding white
    space, which fields lose too. Rows without any content are passed over.

    Args:
        path: TSV, CSV or a file with semicolons, also gzipped.
        required: Columns that it must have.
        optional: Columns that it may have.

    Yields:
        The 1-based line on which a row starts, and its fields in the order of `required` and `optional`; an optional
        column that the table has not is empty.

    Raises:
        FormatError: A column is lacking or twice there, a row is too short, quotes are broken or the text is no UTF-8.
        IntegrityError: The file is damaged, or holds more than the limits allow.
    """
    with _open(path, required) as text:
        yield from _rows(path, text, required, optional)


def read_column_names(path: Path, required: Sequence[str]) -> tuple[str, ...]:
    """The columns of such a table as they are written, for those who choose among them.

    Args:
        path: As of `read_delimited`.
        required: Columns that it must have, by which is told what divides the fields.

    Raises:
        FormatError: One is lacking or twice there, or the text is no UTF-8.
        IntegrityError: The file is damaged.
    """
    with _open(path, required) as text:
        _, first = _first_line(path, text, required)
        delimiter, _ = _header(path, first, required)
        return tuple(name.strip() for name in next(csv.reader([first], delimiter=delimiter)))


@contextmanager
def _open(path: Path, required: Sequence[str]) -> Iterator[io.TextIOWrapper]:
    """The text; what is wrong with it is said with the file's name."""
    # The default limit of 131,072 characters would refuse long sequences.
    csv.field_size_limit(max(csv.field_size_limit(), LIMITS.longest_line))
    with open_limited(path) as binary, io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as text:
        try:
            yield text
        except UnicodeDecodeError as error:
            raise FormatError(
                f"{path.name} is no text in UTF-8", expected=_kind(required), fix=_SAVE_AS
            ) from error
        except csv.Error as error:
            raise FormatError(
                f"{path.name}: broken quotes or line ends ({error})", expected=_kind(required), fix=_SAVE_AS
            ) from error


def _rows(path: Path, text: io.TextIOWrapper, required: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    line, first = _first_line(path, text, required)
    delimiter, names = _header(path, first, required)
    places = [names.index(name.lower()) for name in required]
    places += [names.index(name.lower()) if name.lower() in names else -1 for name in optional]
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    start = line + 1
    for fields in reader:
        stripped = [field.strip() for field in fields]
        if any(stripped):
            if len(stripped) <= max(places):
                raise FormatError(
                    f"{path.name}, line {start}: {len(stripped)} fields",
                    expected=f"{len(names)} fields, as the header line has",
                )
            yield start, tuple(stripped[place] if place >= 0 else "" for place in places)
        start = line + reader.line_num + 1


def _first_line(path: Path, text: io.TextIOWrapper, required: Sequence[str]) -> tuple[int, str]:
    """The line that names the columns, and its 1-based number."""
    first, line = "", 0
    while not first.strip() or first.startswith(_SEPARATOR_LINE):
        first = text.readline()
        line += 1
        if not first:
            raise FormatError(f"{path.name} is empty", expected=_kind(required))
    return line, first


def _header(path: Path, first: str, required: Sequence[str]) -> tuple[str, list[str]]:
    """What divides the fields, and the names of the columns in lower case."""
    found: list[list[str]] = []
    for delimiter in _DELIMITERS:
        names = [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter))]
        found.append(names)
        if all(name.lower() in names for name in required):
            if twice := next((name for name in required if names.count(name.lower()) > 1), None):
                raise FormatError(f"{path.name} has the column {twice} twice", expected="each column once")
            return delimiter, names
    names = max(found, key=len)
    missing = next(name for name in required if name.lower() not in names)
    raise FormatError(
        f"{path.name} has no column {missing}: its first line is {first.strip()[:80]!r}", expected=_kind(required)
    )


def _kind(required: Sequence[str]) -> str:
    shown = [*required[:_SHOWN], "..."] if len(required) > _SHOWN else required
    return f"a table in UTF-8 with tabs, commas or semicolons, whose first line names {', '.join(shown)}"
