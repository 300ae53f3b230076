"""Writes the submission CSV; what it must look like is stated in `layout`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import SubmissionError
from glm_assets.storage.atomic import atomic_path, file_digest
from glm_assets.submission.layout import ID_COLUMN, MAX_DIMENSIONS, UNIT_TOLERANCE, embedding_columns

_BLOCK_VALUES = 1 << 21  # 8 MiB of float32: the text of a block stays near 25 MiB at any width
_SIGNIFICANT_DIGITS = range(6, 9)


@dataclass(frozen=True)
class SubmissionReport:
    """What was written.

    Attributes:
        rows: Test sequences.
        dimensions: Embedding columns.
        size: Size of the file in bytes.
        sha256: Hex digest of the file.
    """

    rows: int
    dimensions: int
    size: int
    sha256: str


def write_submission(
    ids: Sequence[str] | pl.Series,
    vectors: NDArray[np.float32],
    dest: Path,
    *,
    significant_digits: int | None = None,
    max_dimensions: int = MAX_DIMENSIONS,
) -> SubmissionReport:
    """Write `ID,emb_0000,...`, one row per vector in the given order; the file appears whole or not at all.

    Numbers are the shortest text that reads back as the same float32, as pandas writes them in the original
    pipeline (GitHub Shim-Min-Kyoung/Dacon-2-Medical-AI-MAI-).

    Args:
        ids: n different, non-empty IDs.
        vectors: (n, dimensions) float32 of unit-norm rows; may be a memory map, as it is read in blocks.
        dest: The CSV to write; replaced if it exists.
        significant_digits: Round numbers to 6 (as `%.6g`), 7 or 8 significant digits for a shorter file.
        max_dimensions: Largest number of embedding columns that is accepted.

    Raises:
        SubmissionError: Counts do not agree, an ID is empty or repeated, there are too many columns, or a vector
            is not finite or not of unit norm. `dest` is then left as it was.
    """
    names = pl.Series(ID_COLUMN, ids, dtype=pl.String)
    _refuse_ids(names)
    _refuse_shape(names, vectors, max_dimensions)
    _refuse_digits(significant_digits)
    columns = embedding_columns(vectors.shape[1])
    block = max(1, _BLOCK_VALUES // len(columns))
    with atomic_path(dest) as temporary:
        with temporary.open("wb") as stream:
            for start in range(0, len(names), block):
                rows = slice(start, start + block)
                _refuse_vectors(names[rows], vectors[rows], start)
                frame = pl.DataFrame(np.asarray(vectors[rows]), schema=columns, orient="row")
                if significant_digits is not None:
                    frame = frame.select(pl.all().round_sig_figs(significant_digits))
                frame.insert_column(0, names[rows]).write_csv(stream, include_header=start == 0)
        size, sha256 = temporary.stat().st_size, file_digest(temporary)
    return SubmissionReport(rows=len(names), dimensions=len(columns), size=size, sha256=sha256)


def _refuse_ids(names: pl.Series) -> None:
    if names.is_empty():
        raise SubmissionError("there is no row to submit", expected="one vector for each test sequence")
    if (empty := names.fill_null("") == "").any():
        raise SubmissionError(f"row {_first(empty)} of the submission has no ID", expected="an ID in every row")
    if (repeated := names.is_duplicated()).any():
        name = names[_first(repeated) - 1]
        raise SubmissionError(f"ID '{name}' occurs more than once in the submission", expected="each ID once")


def _refuse_shape(names: pl.Series, vectors: NDArray[np.float32], max_dimensions: int) -> None:
    if vectors.ndim != 2 or vectors.dtype != np.float32 or len(vectors) != len(names):
        raise SubmissionError(
            f"vectors of shape {vectors.shape} and type {vectors.dtype} do not fit {len(names):,} IDs",
            expected=f"float32 of shape ({len(names)}, dimensions)",
        )
    if vectors.shape[1] > max_dimensions:
        raise SubmissionError(
            f"the vectors have {vectors.shape[1]:,} dimensions",
            expected=f"at most {max_dimensions:,}, the contest's limit",
            fix="use a head with a smaller output, or raise the limit if the contest allows it",
        )


def _refuse_digits(significant_digits: int | None) -> None:
    if significant_digits is not None and significant_digits not in _SIGNIFICANT_DIGITS:
        raise SubmissionError(
            f"numbers cannot be written with {significant_digits} significant digits",
            expected=f"{_SIGNIFICANT_DIGITS[0]} to {_SIGNIFICANT_DIGITS[-1]}, or none for the exact float32",
        )


def _refuse_vectors(names: pl.Series, block: NDArray[np.float32], start: int) -> None:
    """Refuse a block, which begins at 0-based row `start`, if a vector is not finite or not of unit norm."""
    norms = np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float64))
    wrong = ~(np.abs(norms - 1) <= UNIT_TOLERANCE)  # written so that NaN is wrong
    if not wrong.any():
        return
    at = int(np.argmax(wrong))
    fault = f"has length {norms[at]:.6g}" if np.isfinite(block[at]).all() else "holds NaN or infinity"
    raise SubmissionError(
        f"the vector in row {start + at + 1}, ID '{names[at]}', {fault}",
        expected=f"finite numbers and length 1 (within {UNIT_TOLERANCE:g})",
        fix="look at the head that made it; a submission is not repaired here",
    )


def _first(wrong: pl.Series) -> int:
    """1-based number of the first true element."""
    return int(wrong.arg_true()[0]) + 1
