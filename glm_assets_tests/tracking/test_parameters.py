"""Names of parameters."""

from __future__ import annotations

from glm_assets.tracking.parameters import flat


def test_nested_values_are_named_by_their_path():
    values = {"a": 1, "b": {"c": {"d": [2]}, "e": None}, "f": {}}
    assert flat(values) == {"a": 1, "b.c.d": [2], "b.e": None}
