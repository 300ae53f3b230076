"""Counts as facts about products."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

NONE = "(none)"


def split_counts(counts: Mapping[str, int]) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """Plain counts, and those named `<group>:<name>` by group."""
    plain = {name: count for name, count in counts.items() if ":" not in name}
    grouped: dict[str, dict[str, int]] = {}
    for name, count in counts.items():
        group, colon, rest = name.partition(":")
        if colon:
            grouped.setdefault(group, {})[rest] = count
    return plain, grouped


def by_value(values: pl.Series) -> dict[str, int]:
    """How often each value occurs, most frequent first; nulls as `(none)`."""
    counted = values.cast(pl.String).fill_null(NONE).value_counts(sort=True)
    return dict(counted.iter_rows())
