"""A text file as bytes, gzipped or not: what is damaged or endless is an error of ours, whichever library reads it."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from glm_assets.errors import FormatError
from glm_assets.sources.compression import check_gzip, damaged, is_gzip
from glm_assets.storage.limits import refuse_excess, refuse_long_line

if TYPE_CHECKING:
    from typing_extensions import Buffer

_BLOCK = 1 << 20


class _Limited(io.RawIOBase):
    """Bytes of a stream, within the limits of a file and of a line."""

    def __init__(
        self, source: BinaryIO | gzip.GzipFile, path: Path, *, compressed: bool, limit_lines: bool
    ) -> None:
        self._source = source
        self._path = path
        self._compressed = compressed
        self._limit_lines = limit_lines
        self._size = 0
        self._line = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        try:
            block = self._source.read(len(memoryview(buffer)))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise damaged(self._path, str(error)) from error
        self._size += len(block)
        end = max(block.rfind(b"\n"), block.rfind(b"\r"))
        self._line = len(block) - end - 1 + (self._line if end < 0 else 0)
        refuse_excess(self._path.name, self._size, decompressed=self._compressed)
        if self._limit_lines:
            refuse_long_line(self._path.name, self._line)
        memoryview(buffer)[: len(block)] = block
        return len(block)


@contextmanager
def open_limited(path: Path, *, limit_lines: bool = True) -> Iterator[io.BufferedReader]:
    """Open a file for reading bytes; gzip is known by the content, whatever the name.

    Args:
        path: The file.
        limit_lines: Whether a line may not be longer than the limits allow. Who never holds a whole line has no need of
            that, and chromosomes of a line each are longer: a gigabase in rye or wheat.

    Yields:
        The decompressed bytes. Reading them raises IntegrityError where the file is cut short or damaged, or holds more
        than the limits allow.

    Raises:
        FormatError: The file cannot be opened.
        IntegrityError: It is a BGZF file that lacks its end.
    """
    try:
        compressed = is_gzip(path)
        if compressed:
            check_gzip(path)
        source: BinaryIO | gzip.GzipFile = gzip.GzipFile(path, "rb") if compressed else path.open("rb")
    except OSError as error:
        raise FormatError(f"{path} cannot be read ({error.strerror})", expected="a readable file") from error
    stream: io.BufferedReader = io.BufferedReader(
        _Limited(source, path, compressed=compressed, limit_lines=limit_lines), _BLOCK
    )
    with source, stream:
        yield stream
