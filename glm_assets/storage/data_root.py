"""A data root belongs to one profile, source and window recipe; `platform.json` says which."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glm_assets.errors import DataRootError
from glm_assets.storage.atomic import write_json
from glm_assets.storage.remote_root import RemoteRoot

IDENTITY = "platform.json"


def claim_data_root(root: Path, identity: Mapping[str, Any], remote: RemoteRoot | None = None) -> None:
    """Mark a new data root as belonging to `identity`, or check that it does.

    Args:
        root: The data root on this machine; made if needed.
        identity: JSON-able values that must not change within a data root.
        remote: The data root, where it is on an object store: the mark lies there.

    Raises:
        DataRootError: The root belongs to something else, it cannot be made or written, or its mark cannot be read.
        StorageError: The object store cannot be reached or refuses.
    """
    found = _remote_mark(remote, identity) if remote else _read_mark(_marked(root, identity))
    place = remote.url if remote else root
    for key, value in identity.items():
        if found.get(key) != value:
            raise DataRootError(
                f"data root {place} was made with {key} {found.get(key)!r}, this run has {value!r}",
                expected="one profile, source and window recipe in a data root",
                fix=f"set GLM_DATA_ROOT to another folder, or go back to {key} {found.get(key)!r}",
            )


def _marked(root: Path, identity: Mapping[str, Any]) -> Path:
    """The root's mark; the first of several processes that find none sets it."""
    from filelock import FileLock

    mark = root / IDENTITY
    try:
        if not mark.exists():
            root.mkdir(parents=True, exist_ok=True)
            with FileLock(root / f".{IDENTITY}.lock"):
                if not mark.exists():
                    write_json(mark, dict(identity))
    except OSError as error:
        raise DataRootError(
            f"data root {root} cannot be used ({error.strerror})",
            expected="a folder that may be written to",
            fix="set GLM_DATA_ROOT to another folder",
        ) from error
    return mark


def _remote_mark(remote: RemoteRoot, identity: Mapping[str, Any]) -> dict[str, Any]:
    """The mark on the object store, set if there is none, and read back: of two at once the store keeps one."""
    content = remote.read(IDENTITY)
    if content is None:
        remote.create(IDENTITY, json.dumps(dict(identity), indent=2, sort_keys=True).encode())
        content = remote.read(IDENTITY) or b""
    return _parsed(content, f"{remote.url}/{IDENTITY}")


def _read_mark(mark: Path) -> dict[str, Any]:
    try:
        content = mark.read_bytes()
    except OSError as error:
        raise _unreadable(str(mark), error) from error
    return _parsed(content, str(mark))


def _parsed(content: bytes, place: str) -> dict[str, Any]:
    try:
        return dict(json.loads(content.decode("utf-8")))
    except (ValueError, TypeError) as error:
        raise _unreadable(place, error) from error


def _unreadable(place: str, error: Exception) -> DataRootError:
    return DataRootError(f"{place} cannot be read ({error})", fix="restore it, or use another data root")
