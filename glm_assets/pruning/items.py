"""A thing that can go: what it is, why, what that frees, and how it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DAY_S: Final = 24 * 3600.0
"""What is younger may belong to a process at work."""


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
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size
