"""In which order an epoch takes its pairs, drawn from torch's generator.

Importing this module imports torch.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def in_order(count: int, size: int) -> list[Rows]:
    """All rows as they are, in batches."""
    return _batches(np.arange(count), size)


def shuffled(count: int, size: int) -> list[Rows]:
    """All rows in random order, in batches; the last may be smaller."""
    return _batches(torch.randperm(count).numpy(), size)


def grouped(group: NDArray[np.int64], var_len: NDArray[np.int16], size: int, members: int) -> list[Rows]:
    """All rows once, each group cut into random hands of at most `members` rows that follow each other.

    A group is dealt out in order of length, a row to each of its hands in turn, so that every hand has short and long
    variants where the group has them, and none of a large group has fewer than half of `members`. Hands are shuffled,
    so a batch has many groups; the few that its ends cut are the price of batches of one size.

    Args:
        group: Group of each row (n,).
        var_len: Variant length of each row (n,).
        size: Rows in a batch; the last may be smaller.
        members: Most rows in a hand.
    """
    rng = _generator()
    order = np.lexsort((rng.random(len(group)), var_len, group))
    _, segment, count = np.unique(group[order], return_inverse=True, return_counts=True)
    place = np.arange(len(order)) - (np.cumsum(count) - count)[segment]
    hands = -(-count // members)
    turn = place // hands[segment]
    order = order[np.lexsort((rng.random(len(order)), turn, segment))]  # who gets which row of a turn
    hand = (np.cumsum(hands) - hands)[segment] + place % hands[segment]
    shuffled_hand = rng.permutation(int(hands.sum()))[hand]
    return _batches(order[np.argsort(shuffled_hand, kind="stable")], size)


def whole_groups(group: NDArray[np.int64], count: int, steps: int) -> list[Rows]:
    """Rows of `count` random groups for each of `steps` steps; all groups have their turn before one comes again.

    Args:
        group: Group of each row (n,).
        count: Groups in a step.
        steps: How many steps.
    """
    rng = _generator()
    order = np.argsort(group, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    rounds = -(-steps * count // len(members))
    turns = np.concatenate([rng.permutation(len(members)) for _ in range(rounds)])
    drawn = (np.unique(turns[step * count : (step + 1) * count]) for step in range(steps))
    return [np.concatenate([members[number] for number in numbers]) for numbers in drawn]


def _generator() -> np.random.Generator:
    return np.random.default_rng(int(torch.randint(2**62, ())))


def _batches(rows: Rows, size: int) -> list[Rows]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
