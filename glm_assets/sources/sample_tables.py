"""Tables of sequences, each of a sample: a row a read, as batches like those of FASTA and FASTQ files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from glm_assets.errors import FormatError
from glm_assets.sources.delimited import read_delimited
from glm_assets.sources.sequence_files import BATCH_BASES, BATCH_READS

SCHEMA = pl.Schema({"name": pl.String, "sample": pl.String, "sequence": pl.String})


def read_sample_table(
    path: Path,
    *,
    sample_column: str = "sample_id",
    sequence_column: str = "sequence",
    batch_reads: int = BATCH_READS,
    batch_bases: int = BATCH_BASES,
) -> Iterator[pl.DataFrame]:
    """Read a CSV, TSV or semicolon table with a sequence in each row, in the order of the file.

    Args:
        path: The file, also gzipped.
        sample_column: Names the sample of a row.
        sequence_column: Holds the bases.
        batch_reads: Most rows of a batch.
        batch_bases: A batch ends with the row that brings it to so many bases.

    Yields:
        Frames of the columns `name` (`<sample>:<0-based row>`), `sample` and `sequence`.

    Raises:
        FormatError: The table lacks a column, or a row its sample or sequence.
        IntegrityError: The file is damaged, or holds more than the limits allow.
    """
    names: list[str] = []
    samples: list[str] = []
    sequences: list[str] = []
    bases = 0
    rows = read_delimited(path, (sample_column, sequence_column))
    for number, (line, (sample, sequence)) in enumerate(rows):
        if not sample or not sequence:
            lacking = sequence_column if sample else sample_column
            raise FormatError(f"{path.name}, line {line}: {lacking} is empty", expected="a sample and a sequence")
        names.append(f"{sample}:{number}")
        samples.append(sample)
        sequences.append(sequence)
        bases += len(sequence)
        if len(names) >= batch_reads or bases >= batch_bases:
            yield pl.DataFrame([names, samples, sequences], schema=SCHEMA, orient="col")
            names, samples, sequences, bases = [], [], [], 0
    if names:
        yield pl.DataFrame([names, samples, sequences], schema=SCHEMA, orient="col")
