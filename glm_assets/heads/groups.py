"""Where the rows of a batch stand within their groups: all that the PCC loss needs and that no network changes.

Groups and variant lengths are known before a step runs. Laying them out here, in numpy on the host, leaves a loss
of a few tensor operations that never loops over groups nor waits for the device.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STD_EPS = 1e-6


@dataclass(frozen=True)
class GroupRule:
    """Which groups of a batch count, and which of their rows are neighbours. The defaults are the original's.

    Attributes:
        min_members: Fewest rows of a group, at least 2. Between two rows the correlation is 1 or -1, whatever they say.
        min_lengths: Fewest different variant lengths of a group.
        ties: Whether rows of equal length are neighbours; their order is arbitrary, so this pulls them together.
    """

    min_members: int = 2
    min_lengths: int = 1
    ties: bool = True


ORIGINAL_GROUPS = GroupRule()


@dataclass(frozen=True)
class GroupLayout:
    """A batch's groups that count. `m` counts their rows, `G` the groups.

    A group of n rows weighs n/m; every weight below is that, divided by the number of terms in the group's mean.

    Attributes:
        rows: Batch indices (m,), sorted by group, then by variant length; equal lengths keep their batch order.
        segment: Group number (m,) of each sorted row, 0 to G - 1.
        size: Rows per group (G,).
        z_length: Variant lengths standardised within their group (m,), sample standard deviation plus 1e-6.
        row_weight: Weight (m,) of a row in the correlation term; 0 where all lengths of the group are equal.
        neighbour: Sorted positions (k,) whose next row is of the same group and, without ties, longer.
        neighbour_weight: Weight (k,) of each.
        shorter: Sorted positions (p,) of the shorter variant of each pair of unequal lengths.
        longer: Sorted positions (p,) of the longer one.
        pair_weight: Weight (p,) of each pair.
    """

    rows: NDArray[np.int64]
    segment: NDArray[np.int64]
    size: NDArray[np.float64]
    z_length: NDArray[np.float64]
    row_weight: NDArray[np.float64]
    neighbour: NDArray[np.int64]
    neighbour_weight: NDArray[np.float64]
    shorter: NDArray[np.int64]
    longer: NDArray[np.int64]
    pair_weight: NDArray[np.float64]


def lay_out_groups(
    group: NDArray[np.int64], var_len: NDArray[np.int16], rule: GroupRule = ORIGINAL_GROUPS
) -> GroupLayout:
    """Lay out the groups of one batch.

    The original sorts unstably, so the order of equal lengths is arbitrary there; here it is the batch order.

    Args:
        group: Group of each row (n,).
        var_len: Variant length of each row (n,), in bases.
        rule: Which groups count.
    """
    order = np.lexsort((var_len, group))
    begins = _run_starts(group[order])
    members = np.diff(np.append(np.flatnonzero(begins), len(order)))
    lengths = np.bincount(np.cumsum(begins) - 1, begins | _run_starts(var_len[order]), minlength=len(members))
    counts = (members >= rule.min_members) & (lengths >= rule.min_lengths)
    rows, size = order[np.repeat(counts, members)], members[counts]
    total = max(len(rows), 1)
    segment = np.repeat(np.arange(len(size)), size)
    length = var_len[rows].astype(np.float64)
    z_length, varies = _standardise(length, segment, size)

    follows = segment[1:] == segment[:-1]
    neighbour = np.flatnonzero(follows if rule.ties else follows & (length[1:] != length[:-1]))
    neighbours = np.bincount(segment[neighbour], minlength=len(size))
    shorter, longer = _unequal_pairs(length, segment, size)
    pairs = np.bincount(segment[shorter], minlength=len(size))
    return GroupLayout(
        rows=rows,
        segment=segment,
        size=size.astype(np.float64),
        z_length=z_length,
        row_weight=varies[segment] / total,
        neighbour=neighbour,
        neighbour_weight=(size / np.maximum(neighbours, 1) / total)[segment[neighbour]],
        shorter=shorter,
        longer=longer,
        pair_weight=(size / np.maximum(pairs, 1) / total)[segment[shorter]],
    )


def _standardise(
    length: NDArray[np.float64], segment: NDArray[np.int64], size: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Z-scores (m,) within groups, and which groups (G,) have unequal lengths."""
    mean = np.bincount(segment, length, minlength=len(size)) / size
    centred = length - mean[segment]
    variance = np.bincount(segment, centred**2, minlength=len(size)) / (size - 1)
    starts = np.cumsum(size) - size
    varies = length[starts] != length[starts + size - 1]  # sorted: the first is the shortest, the last the longest
    return centred / (np.sqrt(variance) + STD_EPS)[segment], varies


def _unequal_pairs(
    length: NDArray[np.float64], segment: NDArray[np.int64], size: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorted positions of all pairs (shorter, longer): each row with its group's rows after its run of equals."""
    m = len(length)
    starts = np.flatnonzero(_run_starts(segment) | _run_starts(length))
    runs = np.diff(np.append(starts, m))
    run_end = np.repeat(starts + runs, runs)
    partners = np.cumsum(size)[segment] - run_end
    shorter = np.repeat(np.arange(m), partners)
    first = np.cumsum(partners) - partners
    longer = run_end[shorter] + np.arange(len(shorter)) - first[shorter]
    return shorter, longer


def _run_starts(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where a value (n,) differs from the one before; the first does."""
    starts = np.ones(len(values), dtype=bool)
    starts[1:] = values[1:] != values[:-1]
    return starts
