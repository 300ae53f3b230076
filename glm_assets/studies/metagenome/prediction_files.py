"""Predictions as files, a batch at a time: a CSV with the columns of the original's command, and a Parquet table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import EvaluationError
from glm_assets.storage.atomic import atomic_path
from glm_assets.storage.schemas_metagenome import PREDICTIONS, SAMPLES
from glm_assets.storage.streamed_tables import TableWriter, write_batches

Probabilities = NDArray[np.floating]

_TOLERANCE = 1e-4
# A spreadsheet takes a field that begins so for a formula.
_FORMULA = r"^[=+\-@\t\r]"


class PredictionWriter:
    """Takes batches of reads and their probabilities; made by `write_predictions`.

    Attributes:
        rows: Reads so far.
        formula_ids: Names of reads so far that a spreadsheet would run as a formula: they are written as they are, so
            that they can be found again.
    """

    def __init__(self, csv: BinaryIO, table: TableWriter, labels: Sequence[str], top_k: int) -> None:
        self._csv = csv
        self._table = table
        self._labels = list(labels)
        self._top_k = min(top_k, len(labels))
        self.rows = 0
        self.formula_ids = 0

    def add(self, reads: pl.DataFrame, probabilities: Probabilities) -> None:
        """Write the next reads.

        Args:
            reads: Columns `file`, `sequence_id`, `sample`, `sequence_length`, `unknown_share` and `truncated`.
            probabilities: (n, labels), each row with the sum 1.

        Raises:
            EvaluationError: The shapes do not fit, or a row's sum is not 1.
        """
        _check(probabilities, reads.height, self._labels)
        told = reads.with_columns(*_told(probabilities, self._labels))
        columns = ["sequence_id", "predicted_class", "confidence", "sequence_length"]
        _write_rows(told.select(columns), probabilities, self._labels, self._csv)
        top = _top(probabilities, self._labels, self._top_k)
        self._table.add(told.with_columns(top).select(PREDICTIONS.schema.names()).cast(PREDICTIONS.schema))
        self.rows += reads.height
        self.formula_ids += int(reads["sequence_id"].str.contains(_FORMULA).sum())


@contextmanager
def write_predictions(csv: Path, parquet: Path, labels: Sequence[str], top_k: int) -> Iterator[PredictionWriter]:
    """Write the predictions of reads.

    The CSV has the columns sequence_id, predicted_class, confidence, sequence_length and `prob_<label>` of each label.

    Args:
        csv: File that appears when the block has ended well.
        parquet: File of the table `metagenome_predictions`; likewise.
        labels: In the order of the columns of probabilities.
        top_k: Labels in the column `top_k`.

    Yields:
        Takes the batches.
    """
    with (
        atomic_path(csv) as temporary,
        atomic_path(parquet) as temporary_table,
        temporary.open("wb") as stream,
        write_batches(PREDICTIONS, temporary_table) as table,
    ):
        _write_header(["sequence_id", "predicted_class", "confidence", "sequence_length"], labels, stream)
        yield PredictionWriter(stream, table, labels, top_k)


def write_sample_predictions(
    csv: Path,
    parquet: Path,
    samples: Sequence[str],
    reads: NDArray[np.int64],
    probabilities: Probabilities,
    labels: Sequence[str],
) -> pl.DataFrame:
    """Write the predictions of samples.

    The CSV has the columns sample_id, num_sequences, predicted_class, confidence and `prob_<label>` of each label.

    Args:
        csv: File to write.
        parquet: File of the table `metagenome_samples`.
        samples: (n,) names.
        reads: (n,) reads of each.
        probabilities: (n, labels), each row with the sum 1.
        labels: In the order of the columns of probabilities.

    Returns:
        Rows of the table.

    Raises:
        EvaluationError: The shapes do not fit, or a row's sum is not 1.
    """
    _check(probabilities, len(samples), labels)
    names = pl.DataFrame({"sample_id": pl.Series(samples, dtype=pl.String), "num_sequences": reads})
    rows = names.with_columns(*_told(probabilities, labels)).cast(SAMPLES.schema)
    with atomic_path(csv) as temporary, temporary.open("wb") as stream:
        _write_header(rows.columns, labels, stream)
        _write_rows(rows, probabilities, labels, stream)
    with atomic_path(parquet) as temporary:
        SAMPLES.write(rows, temporary)
    return rows


def _check(probabilities: Probabilities, rows: int, labels: Sequence[str]) -> None:
    if probabilities.shape != (rows, len(labels)):
        raise EvaluationError(
            f"probabilities of shape {probabilities.shape}",
            expected=f"{rows} rows and a column for each of {len(labels)}",
        )
    fine = np.abs(probabilities.sum(axis=1, dtype=np.float64) - 1) <= _TOLERANCE
    if not fine.all():
        raise EvaluationError(f"row {int(fine.argmin())} of probabilities does not sum to 1", expected="a softmax")


def _told(probabilities: Probabilities, labels: Sequence[str]) -> tuple[pl.Series, pl.Series]:
    """The most probable label of each row, and its probability."""
    best = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(len(best)), best].astype(np.float64)
    return pl.Series("predicted_class", labels, dtype=pl.String).gather(best), pl.Series("confidence", confidence)


def _top(probabilities: Probabilities, labels: Sequence[str], k: int) -> pl.Series:
    """The k most probable labels as `label:probability`, separated by `;`; of equals that of the smaller index."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    values = np.take_along_axis(probabilities, order, axis=1)
    names = pl.Series("label", labels, dtype=pl.String)
    parts = []
    for place in range(k):
        text = pl.Series(values[:, place].astype(np.float64)).round(6).cast(pl.String)
        parts.append(names.gather(order[:, place]) + ":" + text)
    return pl.DataFrame([part.alias(str(place)) for place, part in enumerate(parts)]).select(
        pl.concat_str(pl.all(), separator=";").alias("top_k")
    )["top_k"]


def _write_header(columns: Sequence[str], labels: Sequence[str], stream: BinaryIO) -> None:
    names = [*columns, *(f"prob_{label}" for label in labels)]
    pl.DataFrame(schema=dict.fromkeys(names, pl.String)).write_csv(stream)


def _write_rows(rows: pl.DataFrame, probabilities: Probabilities, labels: Sequence[str], stream: BinaryIO) -> None:
    # Single precision is written with the fewest digits that give it back: rows still sum to 1 within 1e-6.
    single = pl.col("confidence").cast(pl.Float32)
    columns = [
        pl.Series(f"prob_{label}", probabilities[:, index].astype(np.float32))
        for index, label in enumerate(labels)
    ]
    rows.with_columns(single, *columns).write_csv(stream, include_header=False)
