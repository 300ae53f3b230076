"""Gzip and BGZF files: telling whole ones from damaged ones, and reading them in blocks of whole lines."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from glm_assets.errors import FormatError, IntegrityError

_GZIP_MAGIC = b"\x1f\x8b"
# SAM specification, section 4.1: a BGZF block is a gzip member with an extra field BC, and the last one is empty.
_BGZF_FLAG, _BGZF_EXTRA = slice(3, 4), slice(12, 14)
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BLOCK = 1 << 20


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
    try:
        with gzip.open(path, "rb") as stream:
            while block := stream.read(_BLOCK):
                yield block + stream.readline()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, reason: str) -> IntegrityError:
    """The error for a compressed file that does not hold together."""
    return IntegrityError(f"{path.name} is damaged: {reason}", expected="a whole gzip file", fix=_FETCH_AGAIN)


_FETCH_AGAIN = "run again to download it; if it stays so, the file is damaged at the source"
