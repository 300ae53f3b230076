"""A user's VCF, as lines of bytes: which alleles it asks about, and nothing in it changed.

VCF and gzipped VCF are read as they are. BCF has no text to keep: it is written out as VCF by htslib first.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import polars as pl

from glm_assets.errors import FormatError, SettingsError
from glm_assets.sources.compression import is_gzip, lines, refuse_bomb

_FIXED_COLUMNS: Final = 8
_HEADER: Final = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
_MOST_DIGITS: Final = 10
_BATCH: Final = 200_000

ALLELES: Final = pl.Schema(
    {"record": pl.Int64(), "contig": pl.String(), "pos": pl.Int64(), "ref": pl.String(), "alt": pl.String()}
)


@dataclass(frozen=True)
class UserVcf:
    """What a VCF holds.

    Attributes:
        records: One row per record in file order: `record` (0-based), `contig`, `pos` (1-based), `ref` and `alt`
            verbatim, `alt` with all alleles of the record.
        sorted: Whether each contig's records are contiguous and ascend, as an index needs them.
    """

    records: pl.DataFrame
    sorted: bool


def text_vcf(path: Path, folder: Path) -> Path:
    """The file as VCF text: itself, or for a BCF what htslib writes of it.

    Args:
        path: VCF, gzipped VCF or BCF.
        folder: Where a BCF's text may be written.

    Raises:
        SettingsError: There is no such file.
        FormatError: It is neither VCF nor BCF, or damaged.
    """
    if not path.is_file():
        raise SettingsError(
            f"the VCF {path} does not exist", expected="a VCF, a gzipped VCF or a BCF", fix="correct GLM_USER_VCF"
        )
    with _reading(path), _open(path) as stream:
        start = stream.read(3)
    if start != b"BCF":
        return path
    refuse_bomb(path)  # htslib knows no limits
    import pysam
    import pysam.bcftools

    out = folder / "input.vcf"
    try:
        # pysam makes these functions while it is imported.
        view = pysam.bcftools.view  # pyright: ignore[reportAttributeAccessIssue]
        view("--no-version", "-O", "v", "-o", str(out), str(path), catch_stdout=False)
    except pysam.SamtoolsError as error:
        raise _damaged(path, error) from error
    return out


def read_user_vcf(path: Path) -> UserVcf:
    """Read which alleles a VCF asks about.

    Args:
        path: As `text_vcf` gives it.

    Raises:
        FormatError: It is no VCF, or a line is no record; the message names the line.
    """
    batches: list[pl.DataFrame] = []
    rows: list[tuple[int, str, int, str, str]] = []
    in_order = _Order()
    for number, line in enumerate(record_lines(path)):
        fields = line.split(b"\t", 5)
        contig, pos = _text(fields[0]), int(fields[1])
        in_order.add(contig, pos)
        rows.append((number, contig, pos, _text(fields[3]), _text(fields[4])))
        if len(rows) == _BATCH:
            batches.append(pl.DataFrame(rows, ALLELES, orient="row"))
            rows = []
    batches.append(pl.DataFrame(rows, ALLELES, orient="row"))
    return UserVcf(pl.concat(batches), in_order.holds)


def header_lines(path: Path) -> list[bytes]:
    """The header without line ends; the last one is that of the columns.

    Raises:
        FormatError: The file has no VCF header.
    """
    with _reading(path), _open(path) as stream:
        header = []
        for line in lines(stream, path.name):
            if not line.startswith(b"#"):
                break
            header.append(line.rstrip(b"\r\n"))
    if not header or not header[0].startswith(b"##fileformat=VCF") or not header[-1].startswith(_HEADER):
        raise FormatError(
            f"{path.name} does not begin with a VCF header",
            expected="##fileformat=VCF.. first, and the line #CHROM POS ID REF ALT QUAL FILTER INFO before the records",
        )
    return header


def record_lines(path: Path) -> Iterator[bytes]:
    """The records in order, without line ends; blank lines are passed over.

    Raises:
        FormatError: A line is no record.
    """
    columns = header_lines(path)[-1].count(b"\t") + 1
    with _reading(path), _open(path) as stream:
        for number, line in enumerate(lines(stream, path.name), start=1):
            if line.startswith(b"#") or not (record := line.rstrip(b"\r\n")):
                continue
            _check_record(path, number, record, columns)
            yield record


def _check_record(path: Path, number: int, record: bytes, columns: int) -> None:
    fields = record.split(b"\t")
    problem = None
    if len(fields) != columns:
        problem = f"has {len(fields)} columns and the header {columns}"
    elif not fields[1].isdigit() or len(fields[1]) > _MOST_DIGITS:
        problem = f"has the position {_text(fields[1])!r}"
    elif not all(fields[:_FIXED_COLUMNS]):
        problem = "has an empty column"
    if problem:
        raise FormatError(
            f"{path.name}: line {number} {problem}",
            expected=f"{columns} columns between tabs, none of the first {_FIXED_COLUMNS} empty, POS a number",
            fix="look at the line; bcftools view names what else is wrong",
        )


class _Order:
    """Watches whether records are sorted."""

    def __init__(self) -> None:
        self.holds = True
        self._seen: set[str] = set()
        self._contig, self._pos = "", 0

    def add(self, contig: str, pos: int) -> None:
        if contig == self._contig:
            self.holds &= pos >= self._pos
        else:
            self.holds &= contig not in self._seen
            self._seen.add(contig)
        self._contig, self._pos = contig, pos


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what a damaged file raises into an error that names it."""
    try:
        yield
    except (EOFError, zlib.error, OSError) as error:
        raise _damaged(path, error) from error


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path, "rb") if is_gzip(path) else path.open("rb")


def _text(field: bytes) -> str:
    return field.decode("utf-8", errors="replace")


def _damaged(path: Path, error: object) -> FormatError:
    return FormatError(
        f"{path} cannot be read ({error})",
        expected="an undamaged VCF, gzipped VCF or BCF",
        fix="make or download the file again",
    )
