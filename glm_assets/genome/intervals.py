"""Half-open intervals on one contig, as arrays of starts and ends: components, unions and coverage."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


def overlap_components(starts: Positions, ends: Positions) -> Positions:
    """Number the connected components of overlapping intervals.

    Two intervals overlap when they share at least one base; intervals that only touch do not.

    Args:
        starts: (n,) 0-based first positions, in any order.
        ends: (n,) positions after the last one, each greater than its start.

    Returns:
        (n,) component of each interval, in the order of the input; components count from 0 by position.
    """
    order = np.argsort(starts, kind="stable")
    reach = np.maximum.accumulate(ends[order])
    is_first = np.ones(starts.size, dtype=bool)
    is_first[1:] = starts[order][1:] >= reach[:-1]
    components = np.empty(starts.size, dtype=np.int64)
    components[order] = np.cumsum(is_first) - 1
    return components


def merge_intervals(starts: Positions, ends: Positions) -> tuple[Positions, Positions]:
    """Return the union of the intervals as disjoint intervals, sorted by position."""
    components = overlap_components(starts, ends)
    count = int(components.max(initial=-1)) + 1
    first = np.full(count, np.iinfo(np.int64).max, dtype=np.int64)
    last = np.zeros(count, dtype=np.int64)
    np.minimum.at(first, components, starts)
    np.maximum.at(last, components, ends)
    return first, last


def covered_bases(starts: Positions, ends: Positions, union: tuple[Positions, Positions]) -> Positions:
    """Count the bases of each interval that lie in a union of intervals.

    Args:
        starts: (n,) 0-based first positions, in any order.
        ends: (n,) positions after the last one.
        union: Disjoint sorted intervals, as `merge_intervals` returns them.

    Returns:
        (n,) number of covered bases of each interval.
    """
    return _covered_before(ends, union) - _covered_before(starts, union)


def _covered_before(positions: Positions, union: tuple[Positions, Positions]) -> Positions:
    """Count the bases of the union to the left of each position."""
    first, last = union
    total = np.concatenate([[0], np.cumsum(last - first)])
    index = np.searchsorted(first, positions, side="right")
    # All intervals that begin at or before the position count in full, less what of the last one lies beyond it.
    beyond = np.maximum(0, np.append(last, 0)[index - 1] - positions)
    return total[index] - np.where(index > 0, beyond, 0)
