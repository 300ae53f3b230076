"""The test sequences: finding the contest's CSV and reading it into a validated table.

Columns other than `ID` and `seq` are ignored, lower case becomes upper case and whitespace around a sequence is
removed; all of it is counted. An ID is kept to the letter, because the submission returns it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from csv import Error as CsvError
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from glm_assets.errors import SubmissionError
from glm_assets.submission.faults import refuse_faults
from glm_assets.submission.reading import CsvRows, read_header, read_rows
from glm_assets.variants.windows import sequence_digest

_REQUIRED = ("ID", "seq")
_FORMULA = r"^\s*[=+@-]"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SequenceCounts:
    """What the CSV held and what was changed on the way in.

    Attributes:
        rows: Data rows, all of them kept.
        distinct: Different sequences, upper-cased; each is embedded once.
        shortest: Length of the shortest sequence in bases.
        longest: Length of the longest sequence in bases.
        with_n: Sequences that hold at least one N.
        lower_cased: Sequences that held a lower-case letter.
        trimmed: Sequences with whitespace around them, which was removed.
        padded_ids: IDs with whitespace around them, which was kept.
        formula_ids: IDs that a spreadsheet would take for a formula (`=`, `+`, `-` or `@` first), which were kept.
        ignored_columns: Columns other than `ID` and `seq`.
        blank_lines: Lines without any character, which were skipped.
        bom: Whether a UTF-8 byte-order mark was removed.
    """

    rows: int
    distinct: int
    shortest: int
    longest: int
    with_n: int
    lower_cased: int
    trimmed: int
    padded_ids: int
    formula_ids: int
    ignored_columns: int
    blank_lines: int
    bom: bool


def read_test_sequences(csv: Path, *, max_length: int) -> tuple[pl.DataFrame, SequenceCounts]:
    """Read and validate the test CSV.

    Args:
        csv: A comma-separated UTF-8 file with the columns `ID` and `seq`.
        max_length: Longest sequence that is accepted, in bases.

    Returns:
        A frame in file order with `ID` str, `seq` str (upper-case A, C, G, T, N), `length` int32 and `digest` str
        (the first 32 hex digits of the SHA-256 of the ASCII sequence), and the counts.

    Raises:
        SubmissionError: The file cannot be read, lacks a column or a row, or some rows break a rule (duplicate or
            empty ID; empty, over-long or non-ACGTN sequence; wrong number of fields): the first few are listed.
    """
    table = read_rows(csv)
    _require_columns(csv, table.columns)
    if not table.rows:
        raise SubmissionError(f"{csv} has a header but no rows", expected="one row for each test sequence")
    raw = _text_frame(table)
    trimmed = raw.with_columns(pl.col("seq").str.strip_chars())
    refuse_faults(csv, trimmed, width=len(table.columns), max_length=max_length)
    sequences = trimmed.select(
        "ID",
        pl.col("seq").str.to_uppercase(),
        pl.col("seq").str.len_bytes().cast(pl.Int32).alias("length"),
    )
    sequences = sequences.with_columns(pl.Series("digest", [sequence_digest(seq) for seq in sequences["seq"]]))
    return sequences, _count(table, raw, sequences)


def find_test_csv(explicit: Path | None, folders: Sequence[Path]) -> Path:
    """Choose the test CSV: the given one, else the folders' first CSV file whose header has `ID` and `seq`.

    Folders are searched in the given order, their files in alphabetical order, and a file whose header cannot be
    read is passed over: the rule of the original pipeline (GitHub Shim-Min-Kyoung/Dacon-2-Medical-AI-MAI-).

    Args:
        explicit: A file that the user names; it is not judged here.
        folders: Where to look when none is named; folders that do not exist are passed over.

    Raises:
        SubmissionError: The named file does not exist, or no file has both columns.
    """
    if explicit is not None:
        if not explicit.is_file():
            raise SubmissionError(
                f"the test CSV {explicit} does not exist", fix="set GLM_TEST_CSV to an existing file"
            )
        return explicit
    candidates = [path for folder in folders for path in sorted(folder.glob("*.csv"))]
    for path in candidates:
        if _has_required_columns(path):
            return path
    seen = ", ".join(map(str, candidates)) or "no CSV file"
    raise SubmissionError(
        f"no test CSV found in {', '.join(map(str, folders)) or 'any folder'} (looked at: {seen})",
        expected="a CSV file with the columns ID and seq",
        fix="set GLM_TEST_CSV to the file",
    )


def _has_required_columns(path: Path) -> bool:
    try:
        return set(_REQUIRED) <= set(read_header(path))
    except (OSError, UnicodeDecodeError, CsvError) as error:
        _log.warning("%s is passed over: its header cannot be read (%s)", path, error)
        return False


def _require_columns(csv: Path, columns: tuple[str, ...]) -> None:
    """Raise unless each required column is there exactly once."""
    missing = [name for name in _REQUIRED if name not in columns]
    repeated = [name for name in _REQUIRED if columns.count(name) > 1]
    if not missing and not repeated:
        return
    wrong = [f"no column {name}" for name in missing] + [f"several columns {name}" for name in repeated]
    raise SubmissionError(
        f"{csv} has {' and '.join(wrong)}; its columns are {', '.join(map(repr, columns))}",
        expected="the columns ID and seq, spelled so, once each, separated by commas",
        fix="correct the first line of the file",
    )


def _text_frame(table: CsvRows) -> pl.DataFrame:
    """Lay the two columns out as text; a row with a wrong number of fields gets empty text where it has none."""
    name, seq = (table.columns.index(column) for column in _REQUIRED)
    return pl.DataFrame(
        {
            "row": range(1, len(table.rows) + 1),
            "line": table.lines,
            "fields": [len(fields) for fields in table.rows],
            "ID": [fields[name] if name < len(fields) else "" for fields in table.rows],
            "seq": [fields[seq] if seq < len(fields) else "" for fields in table.rows],
        },
        schema={"row": pl.Int64, "line": pl.Int64, "fields": pl.Int64, "ID": pl.String, "seq": pl.String},
    )


def _count(table: CsvRows, raw: pl.DataFrame, sequences: pl.DataFrame) -> SequenceCounts:
    before = raw.select(
        lower_cased=pl.col("seq").str.contains("[acgtn]").sum(),
        trimmed=(pl.col("seq") != pl.col("seq").str.strip_chars()).sum(),
        padded_ids=(pl.col("ID") != pl.col("ID").str.strip_chars()).sum(),
        formula_ids=pl.col("ID").str.contains(_FORMULA).sum(),
    )
    after = sequences.select(
        rows=pl.len(),
        distinct=pl.col("digest").n_unique(),
        shortest=pl.col("length").min(),
        longest=pl.col("length").max(),
        with_n=pl.col("seq").str.contains("N", literal=True).sum(),
    )
    return SequenceCounts(
        **before.row(0, named=True),
        **after.row(0, named=True),
        ignored_columns=len(table.columns) - len(_REQUIRED),
        blank_lines=table.blank_lines,
        bom=table.bom,
    )
