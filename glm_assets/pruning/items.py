"""A thing that can go: what it is, why, what that frees, and how it goes."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DAY_S: Final = 24 * 3600.0
"""What is younger may belong to a process at work."""

LONG_S: Final = 7 * DAY_S
"""What is younger may be gone on with: hours of a GPU, or many gigabytes that need not come again."""


@dataclass(frozen=True)
class Item:
    """A thing that can go.

    Attributes:
        kind: Such as `release`.
        place: Where it lies, for people.
        size: Bytes that are freed.
        reason: Why it can go.
        remove: Makes it go. A process killed in the middle leaves nothing that anybody would take for whole.
    """

    kind: str
    place: str
    size: int
    reason: str
    remove: Callable[[], None]


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(found.st_size for found in _stats(path) if not stat.S_ISDIR(found.st_mode))


def age_s(path: Path) -> float:
    """Seconds since a file, or the newest of a folder, was written; 0 of what has just gone."""
    return time.time() - max((found.st_mtime for found in _stats(path)), default=time.time())


def entries_of(folder: Path) -> list[Path]:
    """What is in a folder, in a fixed order; nothing if it has just gone."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return sorted(folder.iterdir())
    return []


def everything_in(folder: Path) -> Iterator[Path]:
    """Files and folders at any depth; nothing of what is no folder or goes meanwhile."""
    for place, folders, files in os.walk(folder):
        yield from (Path(place) / name for name in (*folders, *files))


def _stats(path: Path) -> Iterator[os.stat_result]:
    """Of a file, or a folder and all that is in it, without what goes meanwhile: a list is made beside running work."""
    for place in (path, *everything_in(path)):
        with suppress(FileNotFoundError):
            yield place.lstat()
