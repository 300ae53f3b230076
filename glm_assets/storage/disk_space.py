"""What a person reads when a folder takes no more: which one, how much was needed, and how to go on."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glm_assets.errors import StorageError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def explained_writing(folder: Path, needed: int) -> Iterator[None]:
    """Turn what the system says about a failed write into an error that tells how to go on.

    Args:
        folder: Where the block writes.
        needed: Bytes it writes.

    Raises:
        StorageError: The disk or a quota is full, or the folder may not be written to.
    """
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise StorageError(
                f"{folder} cannot be written to ({error.strerror})",
                expected="a folder that may be written to",
                fix="correct its permissions or GLM_EMBEDDINGS_URL, and materialise again: finished shards are kept",
            ) from error
        raise StorageError(
            f"{folder} has no room for a shard ({error.strerror}): {needed:,} bytes are needed, "
            f"{_free_bytes(folder):,} are free",
            fix="free space and materialise again: finished shards are kept",
        ) from error


def is_full(error: Exception) -> bool:
    """Whether a disk or a quota is full, or a file has reached the size that this process may write."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def _free_bytes(folder: Path) -> int:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free
