"""FASTA and FASTQ files as batches of rows: never more than a batch in memory, and what is damaged is named."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import polars as pl

from glm_assets.errors import FormatError, SettingsError
from glm_assets.sources.limited_stream import open_limited

if TYPE_CHECKING:
    from dnaio import SequenceRecord
    from dnaio.exceptions import FileFormatError

SequenceFormat = Literal["fasta", "fastq"]

BATCH_READS: Final = 65_536
BATCH_BASES: Final = 32 << 20

SCHEMA: Final = pl.Schema({"name": pl.String, "comment": pl.String, "sequence": pl.String, "quality": pl.Float64})

_FORMATS: Final[dict[bytes, SequenceFormat]] = {b">": "fasta", b"@": "fastq"}
_PHRED_ZERO = ord("!")
_LOOK = 1 << 16
_EXPECTED = "FASTA, whose records begin with '>', or FASTQ, whose records begin with '@', plain or gzipped"
_OTHER_PACKERS = {
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
    b"BAM\x01": "BAM",
}


def read_sequences(
    path: Path, *, batch_reads: int = BATCH_READS, batch_bases: int = BATCH_BASES
) -> Iterator[pl.DataFrame]:
    """Read a FASTA or FASTQ file in batches, in the order of the file.

    Which of the two it is, and whether it is gzipped, is seen from the content. Sequences of a FASTA may take several
    lines, those of a FASTQ one; lines may end as on Windows. An empty file has no batch.

    Args:
        path: The file.
        batch_reads: Most rows of a batch.
        batch_bases: A batch ends with the record that brings it to so many bases.

    Yields:
        Frames of the columns `name` (to the first white space), `comment` (what follows it; null if nothing does),
        `sequence` as the file has it, and `quality`, the mean of the Phred scores (null of a FASTA).

    Raises:
        FormatError: It is neither, or a record is not as it should be; the message names the record.
        SettingsError: dnaio is not installed.
        IntegrityError: The file is damaged, or holds more than the limits allow.
    """
    try:
        import dnaio
        from dnaio.exceptions import FileFormatError
    except ImportError as error:
        raise SettingsError(
            f"FASTA and FASTQ are read with dnaio: {error}", fix="pip install 'glm_assets[studies]'"
        ) from error
    kind = sequence_format(path)
    if kind is None:
        return
    reader = None
    with open_limited(path) as stream:
        _skip_mark(stream)
        try:
            reader = dnaio.open(stream, fileformat=kind)
            yield from _batches(reader, batch_reads, batch_bases)
        except FileFormatError as error:
            raise _broken(path, kind, getattr(reader, "number_of_records", 0), error) from error
        except UnicodeDecodeError as error:
            raise _broken(
                path, kind, getattr(reader, "number_of_records", 0), "it has a byte that is no text"
            ) from error


def sequence_format(path: Path) -> SequenceFormat | None:
    """Tell FASTA from FASTQ by the first character that is no white space; None for an empty file.

    Raises:
        FormatError: It is neither.
        IntegrityError: The file is damaged.
    """
    with open_limited(path) as stream:
        _skip_mark(stream)
        start = stream.peek(_LOOK).lstrip()
    if not start:
        return None
    if start[:1] not in _FORMATS:
        packed = next((name for magic, name in _OTHER_PACKERS.items() if start.startswith(magic)), None)
        raise FormatError(
            f"{path.name} begins with {start[:20]!r}" + (f", as {packed} does" if packed else ""),
            expected=_EXPECTED,
            fix="convert the file" if packed else "name another file, or make this one again",
        )
    return _FORMATS[start[:1]]


def holds_sequences(path: Path) -> bool:
    """Whether a file is FASTA, FASTQ or empty; it may be a table if it is not.

    Raises:
        IntegrityError: The file is damaged.
    """
    try:
        sequence_format(path)
    except FormatError:
        return False
    return True


def _skip_mark(stream: io.BufferedReader) -> None:
    """Pass over the mark that some editors put before UTF-8."""
    if stream.peek(len(codecs.BOM_UTF8)).startswith(codecs.BOM_UTF8):
        stream.read(len(codecs.BOM_UTF8))


def _batches(records: Iterable[SequenceRecord], batch_reads: int, batch_bases: int) -> Iterator[pl.DataFrame]:
    headers: list[str] = []
    sequences: list[str] = []
    qualities: list[str | None] = []
    bases = 0
    for record in records:
        headers.append(record.name)
        sequences.append(record.sequence)
        qualities.append(record.qualities)
        bases += len(record.sequence)
        if len(headers) >= batch_reads or bases >= batch_bases:
            yield _frame(headers, sequences, qualities)
            headers, sequences, qualities, bases = [], [], [], 0
    if headers:
        yield _frame(headers, sequences, qualities)


def _frame(headers: list[str], sequences: list[str], qualities: list[str | None]) -> pl.DataFrame:
    frame = pl.DataFrame(
        {"header": headers, "sequence": sequences}, schema={"header": pl.String, "sequence": pl.String}
    )
    # Only the first white space divides: a comment keeps its own, so that header = name + that + comment.
    parts = frame["header"].str.extract_groups(r"(?s)^(\S*)(?:\s(.*))?$").struct.unnest()
    return pl.DataFrame(
        [
            parts.to_series(0).alias("name"),
            parts.to_series(1).alias("comment"),
            frame["sequence"],
            _mean_quality([text for text in qualities if text is not None], len(headers)),
        ]
    )


def _mean_quality(qualities: list[str], rows: int) -> pl.Series:
    """(rows,) mean Phred scores; null without any, and for reads without bases."""
    if not qualities:
        return pl.Series("quality", [None] * rows, dtype=pl.Float64)
    lengths = np.fromiter(map(len, qualities), np.int64, len(qualities))
    filled = lengths > 0
    means = np.full(len(lengths), np.nan)
    if filled.any():
        scores = np.frombuffer("".join(qualities).encode("ascii"), np.uint8)
        starts = np.concatenate([[0], np.cumsum(lengths[filled])[:-1]])
        means[filled] = np.add.reduceat(scores, starts, dtype=np.int64) / lengths[filled] - _PHRED_ZERO
    return pl.Series("quality", means).fill_nan(None)


def _broken(path: Path, kind: SequenceFormat, whole: int, reason: FileFormatError | str) -> FormatError:
    text = " ".join(str(reason).split())
    lines = (
        "a header and lines of bases" if kind == "fasta" else "four lines: @name, bases, + and as many qualities"
    )
    return FormatError(
        f"{path.name}: record {whole + 1} cannot be read ({text})",
        expected=f"{kind.upper()} in ASCII, {lines} a record",
        fix="make or download the file again: it may be cut short",
    )
