"""What is wrong with a VCF, to the line. The header is read always, the rest only once a fast parse has failed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glm_assets.errors import FormatError, GlmError
from glm_assets.sources.compression import line_blocks

COLUMNS = ("CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")

POS_MAX = 2**31 - 1
"""The VCF specification's largest position: POS is a 32-bit integer."""

_FIX = "take a file as ClinVar publishes it; if it is one, report the line"


def read_header(vcf: Path) -> tuple[str, ...]:
    """The column names of a VCF: the eight fixed ones, then FORMAT and samples if it has any.

    Raises:
        FormatError: There is no `#CHROM` line before the first record, or it names other columns.
        IntegrityError: The file is damaged within its header.
    """
    for number, line in _lines(vcf):
        if line.startswith(b"##"):
            continue
        names = tuple(line.decode("utf-8", errors="replace").removeprefix("#").split("\t"))
        if line.startswith(b"#") and names[: len(COLUMNS)] == COLUMNS:
            return names
        raise FormatError(
            f"{vcf.name}, line {number}: {_excerpt(line)} stands where the column header should",
            expected="#" + "<tab>".join(COLUMNS),
            fix=_FIX,
        )
    raise FormatError(f"{vcf.name} has no #CHROM line", expected="a VCF header", fix=_FIX)


def explain_fault(vcf: Path, columns: tuple[str, ...]) -> GlmError:
    """Read a file that could not be parsed line by line and say what is wrong with it.

    Args:
        vcf: The file.
        columns: Its column names, from `read_header`.

    Returns:
        The error to raise: an `IntegrityError` for damaged compression, else a `FormatError` naming the first line
        at fault.
    """
    try:
        # Damage garbles lines before it is noticed, so the whole file is decompressed before any line is blamed.
        for _ in line_blocks(vcf):
            pass
    except GlmError as error:
        return error
    for number, line in _lines(vcf):
        if not line.startswith(b"#") and (fault := _fault(line.split(b"\t"), columns)):
            return FormatError(f"{vcf.name}, line {number}: {fault}", expected=_EXPECTED, fix=_FIX)
    return FormatError(f"{vcf.name} cannot be parsed", expected=_EXPECTED, fix=_FIX)


_EXPECTED = "a VCF record with a value in every column and a number as POS"


def _fault(fields: list[bytes], columns: tuple[str, ...]) -> str | None:
    if fields == [b""]:
        return "the line is empty"
    if len(fields) != len(columns):
        return f"{len(fields)} columns where the header has {len(columns)}"
    empty = [name for name, value in zip(columns, fields, strict=True) if not value and name != "ID"]
    if empty:
        return f"{empty[0]} is empty"
    if not _is_position(fields[1]):
        return f"POS is {_excerpt(fields[1])}"
    return None


def _is_position(text: bytes) -> bool:
    # Eleven digits are too many already, and Python refuses to read thousands of them.
    return text.isdigit() and int(text.lstrip(b"0")[:11] or b"0") <= POS_MAX


def _lines(vcf: Path) -> Iterator[tuple[int, bytes]]:
    """1-based line numbers and lines without their ends."""
    number = 0
    for block in line_blocks(vcf):
        for line in block.removesuffix(b"\n").split(b"\n"):
            number += 1
            yield number, line.removesuffix(b"\r")


def _excerpt(line: bytes) -> str:
    text = line.decode("utf-8", errors="replace")
    return repr(text if len(text) <= 60 else f"{text[:60]}...")
