"""Writing vectors to a NumPy file at the speed of the disk, and telling whether a file still is what was written."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_128

from glm_assets.errors import FormatError
from glm_assets.storage.atomic import atomic_path

Vectors = NDArray[np.float32]

_BLOCK_BYTES = 1 << 21  # stays in the processor's cache between narrowing, hashing and writing
_SYNC_BYTES = 1 << 23
_HASHED_AT_A_TIME = 1 << 22

# Bits of float16's infinities: as a signed and as an unsigned integer, nothing finite is as large.
_INFINITE, _MINUS_INFINITE = 0x7C00, 0xFC00


@dataclass(frozen=True)
class VectorFile:
    """What an index knows of a file of vectors.

    Attributes:
        size: In bytes.
        mtime_ns: Modification time.
        xxh3_128: Checksum, hexadecimal. It shows damage, at a tenth of the time of a cryptographic one.
        dtype: Type of the numbers, `float32` or `float16`.
        vectors_per_key: Two of pairs, one of sequences; 0 in indexes that are older than sequences in float16.
    """

    size: int
    mtime_ns: int
    xxh3_128: str
    dtype: str
    vectors_per_key: int = 0

    def holds(self, path: Path) -> bool:
        """Whether `path` still is this file; the checksum is read only when the time stamp differs.

        A file that turns out right gets the recorded time stamp, so that a copied store is read through once.
        """
        try:
            stat = path.stat()
        except FileNotFoundError:
            return False
        if stat.st_size != self.size:
            return False
        if stat.st_mtime_ns == self.mtime_ns:
            return True
        if _checksum(path) != self.xxh3_128:
            return False
        with suppress(PermissionError):
            os.utime(path, ns=(self.mtime_ns, self.mtime_ns))
        return True


def write_vectors(path: Path, parts: Sequence[Vectors], dtype: np.dtype[np.floating]) -> VectorFile:
    """Publish vectors as one file, which is on the disk when this returns.

    Args:
        path: The `.npy` file to write.
        parts: Arrays of one shape (n, dimension); they become the file's second axis.
        dtype: Type of the file, `float32` or `float16`.

    Returns:
        The record of the file. Its checksum is that of the bytes in memory, so it shows damage done on the way too.

    Raises:
        FormatError: The arrays differ in shape, or a number is beyond the range of the type.
    """
    if len(shapes := {part.shape for part in parts}) > 1:
        raise FormatError(f"vectors of different shapes, {sorted(shapes)}", expected="one shape")
    rows, dimension = parts[0].shape
    header = {"descr": dtype.str, "fortran_order": False, "shape": (rows, len(parts), dimension)}
    start = io.BytesIO()
    np.lib.format.write_array_header_1_0(start, header)
    digest = xxh3_128(start.getvalue())
    with atomic_path(path) as temporary, FileIO(temporary, "w") as stream, _EarlySync(stream) as sync:
        _write_all(stream, start.getbuffer())
        for block in _blocks(parts, dtype):
            digest.update(block.data)
            _write_all(stream, block.data)
            sync.written(stream.tell())
        sync.finish()
    stat = path.stat()
    return VectorFile(stat.st_size, stat.st_mtime_ns, digest.hexdigest(), dtype.name, len(parts))


class _EarlySync:
    """Lets the disk work while the next blocks are made, with one request at a time.

    Args:
        stream: The file that is being written.
    """

    def __init__(self, stream: FileIO) -> None:
        self._stream = stream
        self._thread = ThreadPoolExecutor(1)
        self._requested = 0  # bytes
        self._request: Future[None] | None = None

    def __enter__(self) -> _EarlySync:
        return self

    def __exit__(self, *exception: object) -> None:
        self._thread.shutdown()

    def written(self, size: int) -> None:
        """Ask for a sync if enough of the `size` bytes is new and the disk is idle."""
        if size - self._requested >= _SYNC_BYTES and (self._request is None or self._request.done()):
            self._wait()
            self._requested = size
            self._request = self._thread.submit(os.fsync, self._stream.fileno())

    def finish(self) -> None:
        """Wait until everything is on the disk; its errors come up here."""
        self._wait()
        os.fsync(self._stream.fileno())

    def _wait(self) -> None:
        if self._request:
            self._request.result()


def _write_all(stream: FileIO, data: memoryview) -> None:
    """An unbuffered file may take a part only, as where the disk has just become full."""
    rest = data.cast("B") if data.nbytes else data
    while rest.nbytes:
        rest = rest[stream.write(rest) :]


def _blocks(parts: Sequence[Vectors], dtype: np.dtype[np.floating]) -> Iterator[NDArray[np.floating]]:
    """The file's rows, some at a time, in a buffer that the next block overwrites."""
    rows, dimension = parts[0].shape
    step = max(1, _BLOCK_BYTES // max(1, len(parts) * dimension * dtype.itemsize))
    buffer = np.empty((min(step, rows), len(parts), dimension), dtype)
    for start in range(0, rows, step):
        block = buffer[: min(step, rows - start)]
        for number, part in enumerate(parts):
            _narrow(part[start : start + step], block[:, number])
        if dtype == np.float16:
            _check_range(block, [part[start : start + step] for part in parts])
        yield block


def _narrow(vectors: Vectors, out: NDArray[np.floating]) -> None:
    if out.dtype != np.float16:
        out[:] = vectors
        return
    import torch  # rounds as NumPy does, but twenty times faster; whoever has vectors has it loaded

    torch.from_numpy(out).copy_(torch.from_numpy(np.ascontiguousarray(vectors)))


def _check_range(block: NDArray[np.floating], parts: Sequence[Vectors]) -> None:
    """Refuse a finite number that float16 has turned into an infinite one."""
    if block.view(np.int16).max(initial=0) < _INFINITE and block.view(np.uint16).max(initial=0) < _MINUS_INFINITE:
        return
    for number, part in enumerate(parts):
        lost = np.isinf(block[:, number]) & np.isfinite(part)  # a NaN or infinity is no fault of the type
        if lost.any():
            raise FormatError(
                f"a vector has a number of size {np.abs(part[lost]).max():.3g}",
                expected=f"at most {np.finfo(np.float16).max:.3g}, the largest float16",
                fix="set encoder.store_dtype to float32",
            )


def _checksum(path: Path) -> str:
    digest = xxh3_128()
    with path.open("rb") as stream:
        while chunk := stream.read(_HASHED_AT_A_TIME):
            digest.update(chunk)
    return digest.hexdigest()
