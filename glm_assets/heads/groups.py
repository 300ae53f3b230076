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
class GroupLayout:
    """A batch's groups of at least two rows. `m` counts their rows, `G` the groups.

    A group of n rows weighs n/m; every weight below is that, divided by the number of terms in the group's mean.

    Attributes:
        rows: Batch indices (m,), sorted by group, then by variant length; equal lengths keep their batch order.
        segment: Group number (m,) of each sorted row, 0 to G - 1.
        size: Rows per group (G,).
        z_length: Variant lengths standardised within their group (m,), sample standard deviation plus 1e-6.
        row_weight: Weight (m,) of a row in the correlation term; 0 where all lengths of the group are equal.
        neighbour: Sorted positions (k,) whose next row is of the same group.
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


def lay_out_groups(group: NDArray[np.int64], var_len: NDArray[np.int16]) -> GroupLayout:
    """Lay out the groups of one batch.

    The original sorts unstably, so the order of equal lengths is arbitrary there; here it is the batch order.

    Args:
        group: Group of each row (n,).
        var_len: Variant length of each row (n,), in bases.
    """
    order = np.lexsort((var_len, group))
    _, members = np.unique(group[order], return_counts=True)
    rows = order[np.repeat(members >= 2, members)]
    size = members[members >= 2]
    total = max(len(rows), 1)
    segment = np.repeat(np.arange(len(size)), size)
    length = var_len[rows].astype(np.float64)
    z_length, varies = _standardise(length, segment, size)

    neighbour = np.flatnonzero(segment[1:] == segment[:-1])
    shorter, longer = _unequal_pairs(length, segment, size)
    pairs = np.bincount(segment[shorter], minlength=len(size))
    return GroupLayout(
        rows=rows,
        segment=segment,
        size=size.astype(np.float64),
        z_length=z_length,
        row_weight=varies[segment] / total,
        neighbour=neighbour,
        neighbour_weight=(size / (size - 1) / total)[segment[neighbour]],
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
    run_starts = np.ones(m, dtype=bool)
    run_starts[1:] = (segment[1:] != segment[:-1]) | (length[1:] != length[:-1])
    starts = np.flatnonzero(run_starts)
    runs = np.diff(np.append(starts, m))
    run_end = np.repeat(starts + runs, runs)
    partners = np.cumsum(size)[segment] - run_end
    shorter = np.repeat(np.arange(m), partners)
    first = np.cumsum(partners) - partners
    longer = run_end[shorter] + np.arange(len(shorter)) - first[shorter]
    return shorter, longer
