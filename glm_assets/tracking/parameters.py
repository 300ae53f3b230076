"""Parameters as a tracking server takes them: one level of names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values as one level, keys joined by dots."""
    found: dict[str, Any] = {}
    for key, item in values.items():
        found |= flat(item, f"{prefix}{key}.") if isinstance(item, Mapping) else {prefix + key: item}
    return found
