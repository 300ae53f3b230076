"""NumPy archives (`.npz`) larger than memory: members are read one by one and in blocks, and nothing is unpickled."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import FormatError
from glm_assets.storage.limits import refuse_excess

_SUFFIX = ".npy"
_ROWS_AT_A_TIME = 1 << 20
_MOST_ROW_BYTES = 1 << 24  # vectors of 2 million numbers; a block of rows is in memory
_MOST_WHOLE_BYTES = 1 << 30  # labels of 128 million rows


@dataclass(frozen=True)
class ArrayHeader:
    """What a member says of its array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class NpzFile:
    """An archive as `numpy.savez` and `numpy.savez_compressed` write it.

    Args:
        path: The file. It is opened anew for every member that is read.

    Raises:
        FormatError: It is no archive, as where its end is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._explained(), zipfile.ZipFile(path) as archive:
            members = archive.namelist()
        self.names = frozenset(name.removesuffix(_SUFFIX) for name in members if name.endswith(_SUFFIX))

    def header(self, name: str) -> ArrayHeader:
        """Shape and type of an array.

        Raises:
            FormatError: There is no such array, or it is one that would have to be unpickled or reordered.
        """
        with self._explained(), zipfile.ZipFile(self.path) as archive, self._open(archive, name) as stream:
            return self._header(stream, name)

    def blocks(self, name: str, rows: int) -> Iterator[NDArray[Any]]:
        """Stream an array.

        Args:
            name: Of the array.
            rows: In a block; the last one may have fewer.

        Yields:
            (rows, ...) read-only arrays that follow each other along the first axis.

        Raises:
            FormatError: As of `header`; or the data end early, or differ from their checksum, which shows at the
                array's end.
        """
        with self._explained(), zipfile.ZipFile(self.path) as archive, self._open(archive, name) as stream:
            header = self._header(stream, name)
            row_bytes = header.dtype.itemsize * math.prod(header.shape[1:])
            for start in range(0, header.shape[0], rows):
                count = min(rows, header.shape[0] - start)
                content = stream.read(count * row_bytes)
                if len(content) < count * row_bytes:
                    raise self._damaged(f"array {name!r} ends in row {start + len(content) // max(1, row_bytes)}")
                yield np.frombuffer(content, header.dtype).reshape(count, *header.shape[1:])
            if stream.read(1):
                raise self._damaged(f"array {name!r} goes on after its {header.shape[0]} rows")

    def array(self, name: str) -> NDArray[Any]:
        """A whole array; for those of a few bytes a row."""
        header = self.header(name)
        if header.dtype.itemsize * math.prod(header.shape) > _MOST_WHOLE_BYTES:
            raise FormatError(
                f"{self.path}: array {name!r} has the shape {header.shape}",
                expected=f"at most {_MOST_WHOLE_BYTES:,} bytes: it is read as a whole",
            )
        return np.concatenate(
            [np.empty((0, *header.shape[1:]), header.dtype), *self.blocks(name, _ROWS_AT_A_TIME)]
        )

    def _open(self, archive: zipfile.ZipFile, name: str) -> IO[bytes]:
        if name not in self.names:
            raise FormatError(
                f"{self.path} has no array {name!r}", expected=f"one of {', '.join(sorted(self.names))}"
            )
        # zipfile reads no more of a member than its entry states.
        refuse_excess(f"{self.path}: array {name!r}", archive.getinfo(name + _SUFFIX).file_size, decompressed=True)
        return archive.open(name + _SUFFIX)

    def _header(self, stream: IO[bytes], name: str) -> ArrayHeader:
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(np.lib.format.read_magic(stream))
        if read is None:
            raise self._damaged(f"array {name!r} is of an unknown format")
        shape, fortran, dtype = read(stream)
        if dtype.hasobject or fortran or not shape:
            kind = "Python objects" if dtype.hasobject else "columns" if fortran else "a single number"
            raise FormatError(f"{self.path}: array {name!r} holds {kind}", expected="rows of plain numbers")
        if dtype.itemsize * math.prod(shape[1:]) > _MOST_ROW_BYTES:
            raise FormatError(
                f"{self.path}: a row of array {name!r} has the shape {shape[1:]}", expected="vectors"
            )
        return ArrayHeader(shape, dtype)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        # RuntimeError is what an encrypted member gives, NotImplementedError an unknown compression.
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, reason: str) -> FormatError:
        return FormatError(
            f"{self.path} cannot be read ({reason})",
            expected="a whole file as numpy.savez_compressed writes it",
            fix="copy the file again: it is damaged or was cut off",
        )
