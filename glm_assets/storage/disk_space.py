"""What a person reads when a folder takes no more: which one, how much was needed, and how to go on."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glm_assets.errors import GlmError, StorageError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Libraries that write files by themselves tell it in an exception of their own: polars, safetensors, DuckDB, sqlite.
_SAID = re.compile(
    r"no space left|disk quota exceeded|database or disk is full|os error (?:28|122|27)\b", re.IGNORECASE
)
# torch says of a full disk only that a file's end is not where it should be.
_NOTHING_LEFT = 1 << 16


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
            f"{free_bytes(folder):,} are free",
            fix="free space and materialise again: finished shards are kept",
        ) from error


@contextmanager
def explained_room(folder: Path | None = None) -> Iterator[None]:
    """Turn what any library says when a disk is full into an error that tells how to go on.

    Args:
        folder: Where the block writes, as far as that is known.

    Raises:
        StorageError: The disk or a quota is full.
    """
    try:
        yield
    except GlmError:
        raise
    except Exception as error:
        place = folder or _named(error)
        if not (is_full(error) or (place and free_bytes(place) < _NOTHING_LEFT)):
            raise
        raise StorageError(
            f"{place or 'a disk'} has no room{_figures(place)} ({_reason(error)})",
            fix="free space (docs/operations.md says what may go) and materialise again: what is finished is kept",
        ) from error


def is_full(error: BaseException) -> bool:
    """Whether a disk or a quota is full, or a file has reached the size that this process may write."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _NO_ROOM
    return bool(_SAID.search(str(error)))


def free_bytes(folder: Path) -> int:
    """Bytes that can be written to a folder's disk; the folder itself need not exist."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


def _figures(place: Path | None) -> str:
    if place is None:
        return ""
    taken = sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) if place.is_dir() else 0
    begun = f": more than the {taken:,} bytes that are written are needed" if taken else ": more is needed"
    return f"{begun}, {free_bytes(place):,} are free"


def _named(error: Exception) -> Path | None:
    name = getattr(error, "filename", None)
    return Path(name).parent if isinstance(name, str) else None


def _reason(error: Exception) -> str:
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(words.split())[:200]
