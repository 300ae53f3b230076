"""Writing vectors to a NumPy file at the speed of the disk: narrowed, hashed and written block by block."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import FormatError
from glm_assets.storage.atomic import atomic_path
from glm_assets.storage.products import FileRecord

Vectors = NDArray[np.float32]

_BLOCK_BYTES = 1 << 21  # stays in the processor's cache between narrowing, hashing and writing


def write_vectors(path: Path, parts: Sequence[Vectors], dtype: np.dtype[np.floating]) -> FileRecord:
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
    _check_range(parts, dtype)
    rows, dimension = parts[0].shape
    header = {"descr": dtype.str, "fortran_order": False, "shape": (rows, len(parts), dimension)}
    start = io.BytesIO()
    np.lib.format.write_array_header_1_0(start, header)
    digest = hashlib.sha256(start.getvalue())
    with atomic_path(path) as temporary, temporary.open("wb") as stream, ThreadPoolExecutor(1) as hasher:
        stream.write(start.getvalue())
        hashed = []
        for block in _blocks(parts, dtype):
            # One thread hashes in order, also while this one waits for the disk; the queue is a shard at most.
            hashed.append(hasher.submit(digest.update, block.data))
            stream.write(block.data)
        stream.flush()
        os.fsync(stream.fileno())
        for update in hashed:
            update.result()
    stat = path.stat()
    return FileRecord(stat.st_size, stat.st_mtime_ns, digest.hexdigest())


def _blocks(parts: Sequence[Vectors], dtype: np.dtype[np.floating]) -> Iterator[NDArray[np.floating]]:
    rows, dimension = parts[0].shape
    step = max(1, _BLOCK_BYTES // max(1, len(parts) * dimension * dtype.itemsize))
    for start in range(0, rows, step):
        yield _narrowed(np.stack([part[start : start + step] for part in parts], axis=1), dtype)


def _narrowed(vectors: Vectors, dtype: np.dtype[np.floating]) -> NDArray[np.floating]:
    if dtype != np.float16:
        return vectors.astype(dtype, copy=False)
    import torch  # rounds as NumPy does, but twenty times faster; whoever has vectors has it loaded

    return torch.from_numpy(vectors).to(torch.float16).numpy()


def _check_range(parts: Sequence[Vectors], dtype: np.dtype[np.floating]) -> None:
    """Refuse a finite number that the type would turn into an infinite one."""
    for part in parts:
        largest = max(part.max(initial=0), -part.min(initial=0))
        if largest <= np.finfo(dtype).max:
            continue
        finite = np.abs(part[np.isfinite(part)]).max(initial=0)  # a NaN or infinity is no fault of the type
        with np.errstate(over="ignore"):
            if np.isinf(finite.astype(dtype)):
                raise FormatError(
                    f"a vector has a number of size {finite:.3g}",
                    expected=f"at most {np.finfo(dtype).max:.3g}, the largest {dtype}",
                    fix="set encoder.store_dtype to float32",
                )
