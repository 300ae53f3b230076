"""Gzip and BGZF files: telling whole ones from damaged ones and from bombs, and reading them in whole lines."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from glm_assets.errors import FormatError, IntegrityError
from glm_assets.storage.limits import LIMITS, refuse_excess, refuse_long_line

_GZIP_MAGIC = b"\x1f\x8b"
# SAM specification, section 4.1: a BGZF block is a gzip member with an extra field BC, and the last one is empty.
_BGZF_FLAG, _BGZF_EXTRA = slice(3, 4), slice(12, 14)
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BLOCK = 1 << 20
# RFC 1951 codes at most 258 bytes in 2 bits, so what decompresses to less than this needs no look.
_LARGEST_RATIO = 1032
_HARMLESS = 256 << 20


def is_gzip(path: Path) -> bool:
    """Whether a file begins as gzip files do."""
    with path.open("rb") as stream:
        return stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC


def check_gzip(path: Path) -> None:
    """Refuse a file that is no gzip file, or a BGZF file whose end is missing.

    A BGZF file that was cut between two blocks is still valid gzip, so nothing but its end marker shows the loss.

    Raises:
        FormatError: The file does not begin as gzip files do.
        IntegrityError: It is BGZF and does not end with the empty block.
    """
    with path.open("rb") as stream:
        head = stream.read(18)
        stream.seek(-min(len(_BGZF_END), path.stat().st_size), os.SEEK_END)
        tail = stream.read()
    if not head.startswith(_GZIP_MAGIC):
        raise FormatError(f"{path.name} is no gzip file", expected="a gzip or BGZF file", fix=_FETCH_AGAIN)
    if head[_BGZF_FLAG] == b"\x04" and head[_BGZF_EXTRA] == b"BC" and tail != _BGZF_END:
        raise damaged(path, "its BGZF end marker is missing, so it is cut short")


def line_blocks(path: Path) -> Iterator[bytes]:
    """Decompress a gzip or BGZF file in blocks of about 1 MiB that end with a line's end.

    Args:
        path: The file.

    Yields:
        Bytes; together they are the content.

    Raises:
        IntegrityError: The file is cut short, or its compressed bytes or checksums do not hold.
    """
    size = 0
    try:
        with gzip.open(path, "rb") as stream:
            while block := stream.read(_BLOCK):
                block += stream.readline(LIMITS.longest_line + 1)
                refuse_long_line(path.name, len(block) - block.rfind(b"\n", 0, -1) - 1)
                size += len(block)
                refuse_excess(path.name, size, decompressed=True)
                yield block
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise damaged(path, str(error)) from error


def lines(stream: BinaryIO | gzip.GzipFile, name: str) -> Iterator[bytes]:
    """The lines of a text with their ends, within the limits of a file and of a line.

    Args:
        stream: Open for reading bytes; what it raises goes through.
        name: What to call it.

    Raises:
        IntegrityError: The text or a line is longer than the limits allow.
    """
    size = 0
    while line := stream.readline(LIMITS.longest_line + 1):
        refuse_long_line(name, len(line))
        size += len(line)
        refuse_excess(name, size, decompressed=True)
        yield line


def refuse_bomb(path: Path) -> None:
    """Refuse a gzip file that decompresses beyond the limits, before a library reads it that knows none.

    Nothing is kept of what is decompressed. Other files, and gzip files too small to be dangerous, pass unread.

    Raises:
        IntegrityError: It does, or it is damaged.
    """
    if path.stat().st_size * _LARGEST_RATIO <= min(_HARMLESS, LIMITS.max_bytes) or not is_gzip(path):
        return
    size = line = 0
    try:
        with gzip.open(path, "rb") as stream:
            while block := stream.read(_BLOCK):
                size += len(block)
                line = len(block) - block.rfind(b"\n") - 1 + (0 if b"\n" in block else line)
                refuse_long_line(path.name, line)
                refuse_excess(path.name, size, decompressed=True)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, reason: str) -> IntegrityError:
    """The error for a compressed file that does not hold together."""
    return IntegrityError(f"{path.name} is damaged: {reason}", expected="a whole gzip file", fix=_FETCH_AGAIN)


_FETCH_AGAIN = "run again to download it; if it stays so, the file is damaged at the source"
