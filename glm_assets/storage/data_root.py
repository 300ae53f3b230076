"""A data root belongs to one profile, source and window recipe; `platform.json` says which."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glm_assets.errors import DataRootError
from glm_assets.storage.atomic import write_json

IDENTITY = "platform.json"


def claim_data_root(root: Path, identity: Mapping[str, Any]) -> None:
    """Mark a new data root as belonging to `identity`, or check that it does.

    Args:
        root: The data root; made if needed.
        identity: JSON-able values that must not change within a data root.

    Raises:
        DataRootError: The root belongs to something else, it cannot be made or written, or its mark cannot be read.
    """
    found = _read_mark(_marked(root, identity))
    for key, value in identity.items():
        if found.get(key) != value:
            raise DataRootError(
                f"data root {root} was made with {key} {found.get(key)!r}, this run has {value!r}",
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


def _read_mark(mark: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(mark.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataRootError(
            f"{mark} cannot be read ({error})", fix="restore it, or use another data root"
        ) from error
