"""Any genome's FASTA files as one indexed file, checked while it streams by: no contig is held in memory.

Case, which marks repeats, and IUPAC codes are kept; U becomes T. Lines are broken anew.
"""

from __future__ import annotations

import codecs
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from glm_assets.errors import FormatError
from glm_assets.sources.bgzf_fasta import bgzf_writer, index_fasta
from glm_assets.sources.fasta_stream import contig_name, split_contigs
from glm_assets.sources.limited_stream import open_limited
from glm_assets.sources.progress import Progress, Ticker
from glm_assets.storage.limits import LIMITS, refuse_long_line
from glm_assets.storage.schemas_genome import CONTIG_COLUMNS

if TYPE_CHECKING:
    import pysam

FASTA: Final = "genome.fa.gz"
"""Name of the indexed file; `genome.indexed_fasta.IndexedFasta` reads it."""

_LOG = logging.getLogger(__name__)
_BLOCK = 1 << 20
_LINE = 80
_CODES = b"ACGTURYKMSWBDHVN"
_OF_BASES = _CODES + _CODES.lower()
_TO_DNA = bytes.maketrans(b"Uu", b"Tt")
_LETTERS, _STRONG = (np.frombuffer(text, np.uint8) for text in (b"ACGTacgt", b"CGcg"))
_LOWER = slice(ord("a"), ord("z") + 1)


def index_genome(files: Sequence[Path], folder: Path, progress: Progress = _LOG.info) -> pl.DataFrame:
    """Write the contigs of FASTA files to one BGZF FASTA, `genome.fa.gz`, with `.fai` and `.gzi`.

    Args:
        files: One or more, plain or gzipped, whatever their names; lines may end as on Windows.
        folder: An existing folder.
        progress: Receives readable lines every few seconds.

    Returns:
        A row per contig as in `CONTIG_COLUMNS`, in the order of the files.

    Raises:
        FormatError: A file is no FASTA, a contig is empty or occurs twice, or a letter is none of a base; the message
            names the place.
        IntegrityError: A file is damaged, or holds more than the limits allow.
    """
    ticker = Ticker(progress)
    with bgzf_writer(folder / FASTA) as stream:
        writer = _GenomeWriter(stream)
        for path in files:
            writer.begin_file(path.name)
            for block, in_line in _blocks(path):
                for header, sequence in split_contigs(block, in_line=in_line):
                    writer.add(header, sequence)
                ticker.tick(lambda: f"{FASTA}: {writer.bases / 1e6:,.0f} million bases")
            writer.end_file()
    index_fasta(folder / FASTA)
    return writer.frame()


def _blocks(path: Path) -> Iterator[tuple[bytes, bool]]:
    """A file in blocks that cut no header, each with whether it begins within a line."""
    in_line = False
    with open_limited(path, limit_lines=False) as stream:
        while block := stream.read(_BLOCK):
            last = block.rfind(b"\n") + 1
            if block[last : last + 1] == b">":
                block += stream.readline(LIMITS.longest_line + 1)
                refuse_long_line(path.name, len(block) - last)
            yield block.removeprefix(codecs.BOM_UTF8), in_line
            in_line = not block.endswith(b"\n")


class _GenomeWriter:
    """Checks, counts and writes contigs."""

    def __init__(self, stream: pysam.BGZFile) -> None:
        self._stream = stream
        self._sources: dict[str, str] = {}
        self._file = ""
        self._contig: str | None = None
        self._counts = np.zeros(256, dtype=np.int64)  # of each letter of the contig
        self._rows: list[tuple[str, int, float | None, int, int]] = []
        self._rest = b""  # the bases of a line that is not full yet
        self.bases = 0

    def begin_file(self, name: str) -> None:
        self._file = name

    def add(self, header: bytes | None, lines: bytes) -> None:
        if header is not None:
            self._begin(header)
        sequence = lines.translate(_TO_DNA, b"\r\n")
        if not sequence:
            return
        if self._contig is None:
            raise self._fault(f"it begins with {sequence[:20]!r}")
        # Ten times as fast as a regular expression.
        if foreign := sequence.translate(None, _OF_BASES)[:1]:
            place = int(self._counts.sum()) + sequence.index(foreign) + 1
            raise self._fault(f"contig {self._contig} holds {foreign!r} as base {place:,}")
        self._counts += np.bincount(np.frombuffer(sequence, np.uint8), minlength=256)
        self.bases += len(sequence)
        self._write(sequence)

    def end_file(self) -> None:
        if self._contig is None:
            raise self._fault("it holds no contig")
        self._end()

    def frame(self) -> pl.DataFrame:
        schema = {column.name: column.dtype for column in CONTIG_COLUMNS}
        return pl.DataFrame(self._rows, schema, orient="row")

    def _begin(self, header: bytes) -> None:
        before = self._contig
        self._end()
        name = contig_name(header)
        if name is None:
            raise self._fault(
                f"the contig after {before} has no name" if before else "its first contig has no name"
            )
        if name in self._sources:
            other = self._sources[name]
            twice = "twice" if other == self._file else f"there and in {other}"
            raise self._fault(f"contig {name} occurs {twice}", fix="give the contigs names of their own")
        self._contig = name
        self._sources[name] = self._file
        self._stream.write(f">{name}\n".encode())

    def _end(self) -> None:
        if self._contig is None:
            return
        if not self._counts.any():
            raise self._fault(f"contig {self._contig} is empty")
        if self._rest:
            self._stream.write(self._rest + b"\n")
        self._rows.append(_row(self._contig, self._counts))
        self._counts = np.zeros_like(self._counts)
        self._rest, self._contig = b"", None

    def _write(self, sequence: bytes) -> None:
        sequence = self._rest + sequence
        full = len(sequence) // _LINE * _LINE
        lines = np.full((full // _LINE, _LINE + 1), ord("\n"), np.uint8)
        lines[:, :_LINE] = np.frombuffer(sequence, np.uint8, full).reshape(-1, _LINE)
        self._stream.write(lines.tobytes())
        self._rest = sequence[full:]

    def _fault(self, problem: str, fix: str = "correct the file, or leave out what is no sequence") -> FormatError:
        return FormatError(
            f"{self._file} is no usable FASTA: {problem}",
            expected="'>name' lines, each followed by lines of bases: A, C, G, T, N and the other IUPAC codes",
            fix=fix,
        )


def _row(name: str, counts: np.ndarray) -> tuple[str, int, float | None, int, int]:
    length, known, strong = (int(part.sum()) for part in (counts, counts[_LETTERS], counts[_STRONG]))
    return name, length, strong / known if known else None, length - known, int(counts[_LOWER].sum())
