"""Files that become visible at once or not at all, and their checksums."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

_CHUNK = 1 << 20
_TOKEN = 12  # hexadecimal digits of a temporary name


@contextmanager
def atomic_path(dest: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `dest` that replaces it when the block ends well.

    The temporary name keeps the suffix, because some writers choose a format by it. When the block raises, the
    temporary file is removed and `dest` is left as it was.

    Args:
        dest: Final path; its folder is made if needed.

    Yields:
        A path on the same file system as `dest`.
    """
    dest.parent.mkdir(parents=True, exist_ok=True)
    temporary = dest.with_name(f".{uuid.uuid4().hex[:_TOKEN]}.{dest.name}")
    try:
        yield temporary
        temporary.replace(dest)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(dest: Path) -> None:
    """Remove the temporary siblings that killed writers of `dest` have left; the caller knows that nobody writes."""
    for path in dest.parent.glob(f".{'[0-9a-f]' * _TOKEN}.{escape(dest.name)}*"):
        path.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file's bytes, read in chunks.

    Args:
        path: File to read.
        algorithm: A name that `hashlib` knows, such as `sha256` or `md5`.
    """
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def digest_of(value: object) -> str:
    """SHA-256 hex digest of the canonical JSON of `value` (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
