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
        DataRootError: The root belongs to something else, or its mark cannot be read.
    """
    mark = root / IDENTITY
    if not mark.exists():
        write_json(mark, dict(identity))
        return
    try:
        found = json.loads(mark.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataRootError(
            f"{mark} cannot be read ({error})", fix="restore it, or use another data root"
        ) from error
    for key, value in identity.items():
        if found.get(key) != value:
            raise DataRootError(
                f"data root {root} was made with {key} {found.get(key)!r}, this run has {value!r}",
                expected="one profile, source and window recipe in a data root",
                fix=f"set GLM_DATA_ROOT to another folder, or go back to {key} {found.get(key)!r}",
            )
