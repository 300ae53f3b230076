"""Reads to be predicted: FASTA, FASTQ or a table of samples, as batches of one shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import polars as pl

from glm_assets.sources.sample_tables import read_sample_table
from glm_assets.sources.sequence_files import BATCH_READS, holds_sequences, read_sequences
from glm_assets.studies.metagenome.bases import clean_bases, inspect_bases
from glm_assets.studies.metagenome.configuration import PredictSettings

SCHEMA: Final = pl.Schema(
    {
        "file": pl.String,
        "sequence_id": pl.String,
        "sample": pl.String,
        "sequence": pl.String,
        "sequence_length": pl.Int32,
    }
)

EMPTY: Final = "empty"
NO_BASES: Final = "no_bases"


def read_inputs(
    paths: Sequence[Path],
    settings: PredictSettings,
    *,
    batch_reads: int = BATCH_READS,
    left_out: Counter[str] | None = None,
) -> Iterator[pl.DataFrame]:
    """Read files of any of the kinds, told by their content, in batches.

    Args:
        paths: The files; the sample of a read is its file's name unless a table says more.
        settings: The columns of tables.
        batch_reads: Most rows of a batch.
        left_out: Counts the reads that are left out: `empty` ones, and those with characters that stand for no base
            (`no_bases`).

    Yields:
        Frames of `SCHEMA`. `sequence_id` is the header to the first white space, or `<sample>:<row>`; `sequence` is
        upper-case DNA.

    Raises:
        FormatError: A file is none of the kinds, or damaged.
        IntegrityError: A file is cut short, or holds more than the limits allow.
    """
    counts = left_out if left_out is not None else Counter()
    for path in paths:
        for batch in _batches(path, settings, batch_reads):
            yield _usable(batch, path.name, counts)


def _batches(path: Path, settings: PredictSettings, batch_reads: int) -> Iterator[pl.DataFrame]:
    if holds_sequences(path):
        for batch in read_sequences(path, batch_reads=batch_reads):
            yield batch.with_columns(pl.lit(path.name).alias("sample"))
        return
    sample, sequence = settings.sample_column, settings.sequence_column
    yield from read_sample_table(path, sample_column=sample, sequence_column=sequence, batch_reads=batch_reads)


def _usable(batch: pl.DataFrame, file: str, left_out: Counter[str]) -> pl.DataFrame:
    length = batch["sequence"].str.len_bytes().cast(pl.Int32)
    empty, no_base = length == 0, inspect_bases(batch["sequence"])["no_base"]
    left_out.update({EMPTY: int(empty.sum()), NO_BASES: int(no_base.sum())})
    rows = batch.with_columns(length.alias("sequence_length")).filter(~(empty | no_base))
    return rows.select(
        pl.lit(file).alias("file"),
        pl.col("name").alias("sequence_id"),
        "sample",
        clean_bases(rows["sequence"]),
        "sequence_length",
    ).select(SCHEMA.names())
