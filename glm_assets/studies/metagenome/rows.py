"""The labelled reads as training and evaluation take them: sequences a batch at a time, rows by split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from glm_assets.errors import TrainingError
from glm_assets.genome.splits import SPLITS
from glm_assets.storage.tables import PART

_BATCH = 8_192


@dataclass(frozen=True)
class SplitRows:
    """Which reads are where.

    Attributes:
        rows: Split to the numbers of its reads, ascending.
        label: (n,) label of every read, by its place in `names`.
        names: The labels that reads have, sorted.
        genome: (n,) number of every read's source genome.
        length: (n,) bases of every read.
    """

    rows: dict[str, NDArray[np.int64]]
    label: NDArray[np.int64]
    names: tuple[str, ...]
    genome: NDArray[np.int64]
    length: NDArray[np.int64]

    @property
    def judged(self) -> str:
        """The split that a classifier is judged on: `test`, or `val` where nothing was set aside to test."""
        return "test" if len(self.rows["test"]) else "val"


def read_split_rows(reads: Path, splits: Path) -> SplitRows:
    """Read labels and splits.

    Args:
        reads: Folder of the table `metagenome_reads`.
        splits: Folder of the table `metagenome_splits`.

    Raises:
        TrainingError: There is no read to train on or to choose by, or train lacks a label.
    """
    about = pl.read_parquet(reads / PART, columns=["label", "label_index", "genome", "length"])
    split = pl.read_parquet(splits / PART, columns=["split"])["split"]
    names = about.select("label", "label_index").unique().sort("label_index")["label"].to_list()
    rows = {name: (split == name).arg_true().to_numpy().astype(np.int64) for name in SPLITS}
    # Labels of the mapping that no read has are no classes.
    label = about["label_index"].rank("dense").to_numpy().astype(np.int64) - 1
    _require_all(rows, label, names)
    genome = about["genome"].rank("dense").to_numpy().astype(np.int64)
    return SplitRows(rows, label, tuple(names), genome, about["length"].to_numpy().astype(np.int64))


def sequence_batches(reads: Path, size: int = _BATCH) -> Iterator[list[str]]:
    """All sequences of the table `metagenome_reads` in order, some at a time."""
    with pq.ParquetFile(reads / PART) as file:
        for batch in file.iter_batches(size, columns=["sequence"]):
            yield batch.column(0).to_pylist()


def sequences_of(reads: Path, rows: NDArray[np.int64]) -> list[str]:
    """The sequences of some reads, in the order of `rows`, which ascend; only their row groups are read."""
    found: list[str] = []
    with pq.ParquetFile(reads / PART) as file:
        first = 0
        for group in range(file.num_row_groups):
            behind = first + file.metadata.row_group(group).num_rows
            own = rows[np.searchsorted(rows, first) : np.searchsorted(rows, behind)]
            if len(own):
                sequences = file.read_row_group(group, columns=["sequence"]).column(0)
                found += sequences.take(own - first).to_pylist()
            first = behind
    return found


def _require_all(rows: dict[str, NDArray[np.int64]], label: NDArray[np.int64], names: Sequence[str]) -> None:
    if empty := [name for name in ("train", "val") if not len(rows[name])]:
        raise TrainingError(
            f"no read is in {', '.join(empty)}",
            expected="reads to train on and to choose epochs by",
            fix="give files for it, or raise split.val in GLM_METAGENOME",
        )
    lacking = sorted(set(range(len(names))) - set(np.unique(label[rows["train"]]).tolist()))
    if lacking or len(names) < 2:
        raise TrainingError(
            f"no training read has the label {', '.join(names[index] for index in lacking) or names}",
            expected="two labels at least, each with reads in train",
            fix="add reads of it, or drop the label from the mapping",
        )
