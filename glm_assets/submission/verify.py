"""Reads a written submission back and says whether it keeps the contest's format; repairs nothing."""

from __future__ import annotations

from csv import Error as CsvError
from csv import reader
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from glm_assets.errors import SubmissionError
from glm_assets.submission.layout import ID_COLUMN, MAX_DIMENSIONS, UNIT_TOLERANCE, embedding_columns


@dataclass(frozen=True)
class Finding:
    """One rule of the format: its name, whether the file keeps it, and the figures behind that."""

    rule: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class SubmissionAudit:
    """What a submission holds, and its findings.

    Attributes:
        rows: Rows below the header.
        dimensions: Embedding columns.
        misplaced_ids: Rows whose ID is not that of the same row of the test CSV.
        not_finite: Rows with a value that is absent, not a number or infinite.
        max_norm_deviation: Largest distance of a finite row's length from 1; NaN when no row is finite.
        findings: One for each of the rules `header`, `rows`, `order`, `finite` and `unit_norm`.
    """

    rows: int
    dimensions: int
    misplaced_ids: int
    not_finite: int
    max_norm_deviation: float
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether the submission keeps every rule."""
        return all(finding.passed for finding in self.findings)


def verify_submission(
    csv: Path, test_sequences: pl.DataFrame, *, max_dimensions: int = MAX_DIMENSIONS
) -> SubmissionAudit:
    """Check a submission against the test sequences it answers; the numbers are read as a stream.

    Args:
        csv: The submission.
        test_sequences: Frame with the column `ID` in the order of the test CSV.
        max_dimensions: Largest number of embedding columns that is accepted.

    Raises:
        SubmissionError: The file is missing or empty, is not text, or has a row longer than its header.
    """
    header = _read_header(csv)
    dimensions = len(header) - 1
    rows = _summarise_rows(csv, dimensions)
    expected = test_sequences[ID_COLUMN]
    finite = rows.filter("finite")
    misplaced = _misplaced(rows[ID_COLUMN], expected)
    not_finite = rows.height - finite.height
    deviation = finite.select((pl.col("norm") - 1).abs().max()).item()
    worst = float("nan") if deviation is None else float(deviation)
    findings = (
        _header_finding(header, max_dimensions),
        Finding("rows", rows.height == len(expected), f"{rows.height:,} rows for {len(expected):,} sequences"),
        _order_finding(misplaced),
        Finding("finite", not_finite == 0, f"{not_finite:,} rows with a value that is no finite number"),
        Finding("unit_norm", worst <= UNIT_TOLERANCE, f"length is at most {worst:.3g} away from 1"),
    )
    return SubmissionAudit(
        rows=rows.height,
        dimensions=dimensions,
        misplaced_ids=misplaced.height,
        not_finite=not_finite,
        max_norm_deviation=worst,
        findings=findings,
    )


def _read_header(csv: Path) -> list[str]:
    try:
        with csv.open(encoding="utf-8", newline="") as stream:
            header = next(reader(stream), [])
    except (OSError, UnicodeDecodeError, CsvError) as error:
        raise SubmissionError(f"the submission {csv} cannot be read ({error})") from error
    if len(header) < 2:
        raise SubmissionError(f"the submission {csv} has no embedding columns", expected="ID,emb_0000,...")
    return header


def _summarise_rows(csv: Path, dimensions: int) -> pl.DataFrame:
    """Reduce each row to `ID`, `finite` and `norm`, by position, so that a wrong header hides nothing."""
    names = [str(number) for number in range(dimensions)]
    values = pl.scan_csv(
        csv,
        has_header=False,
        skip_rows=1,
        schema={ID_COLUMN: pl.String, **dict.fromkeys(names, pl.Float64)},
        ignore_errors=True,  # text that is no number becomes null, which is not finite
        glob=False,
    )
    summary = values.select(
        pl.col(ID_COLUMN).fill_null(""),
        finite=pl.all_horizontal(pl.col(names).is_finite().fill_null(value=False)),
        norm=pl.sum_horizontal(pl.col(names) ** 2).sqrt(),
    )
    try:
        return summary.collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        raise SubmissionError(f"the submission {csv} cannot be read as CSV ({error})") from error


def _misplaced(found: pl.Series, expected: pl.Series) -> pl.DataFrame:
    """Rows whose ID differs: `row` (1-based), `found`, `expected`; a row that only one side has counts too."""
    sides = [found.rename("found").to_frame(), expected.rename("expected").to_frame()]
    pair = pl.concat(sides, how="horizontal_extend")
    return pair.with_row_index("row", offset=1).filter(pl.col("found").ne_missing(pl.col("expected")))


def _order_finding(misplaced: pl.DataFrame) -> Finding:
    if misplaced.is_empty():
        return Finding("order", passed=True, detail="the IDs are those of the test CSV, in its order")
    first = misplaced.row(0, named=True)
    detail = f"{misplaced.height:,} rows with another ID, first row {first['row']}: {first['found']!r} "
    return Finding("order", passed=False, detail=f"{detail}instead of {first['expected']!r}")


def _header_finding(header: list[str], max_dimensions: int) -> Finding:
    dimensions = len(header) - 1
    if dimensions > max_dimensions:
        return Finding("header", passed=False, detail=f"{dimensions:,} columns are more than {max_dimensions:,}")
    expected = [ID_COLUMN, *embedding_columns(dimensions)]
    wrong = next((pair for pair in zip(header, expected, strict=True) if pair[0] != pair[1]), None)
    if wrong is None:
        return Finding("header", passed=True, detail=f"{header[0]}, {header[1]} to {header[-1]}")
    return Finding("header", passed=False, detail=f"column {wrong[0]!r} should be {wrong[1]!r}")
