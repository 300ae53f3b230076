"""Making up for rare labels in what is trained on: copies or weights. Splits come first; only train is balanced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import TrainingError

Mode = Literal["none", "original", "uniform", "sampler"]

_DECIMALS: Final = 6


@dataclass(frozen=True)
class Balance:
    """How often, or how likely, n rows are seen in an epoch.

    Attributes:
        copies: (n,) times that an epoch has the row: 1 at least, so that no row is lost.
        weights: (n,) relative chance of being drawn, with the sum 1 (mode `sampler`); else 1 throughout.
        unmatched_boosts: Boosts that no row's label has: nothing was added for them.
        unboosted: Labels above 0 without a boost (mode `original`): they stay as rare as they are.
    """

    copies: NDArray[np.int64]
    weights: NDArray[np.float64]
    unmatched_boosts: tuple[float, ...] = ()
    unboosted: tuple[float, ...] = ()


def balance(mode: Mode, targets: NDArray[np.float64], *, seed: int, boosts: Mapping[float, float]) -> Balance:
    """Balance rows by their labels.

    `original` adds boost x count random copies of each label, drawn with replacement, as the original recipe does: 63
    rows with a boost of 100 become 6,363. It does not make labels equally frequent. `uniform` does: each becomes
    as frequent as the most frequent one. `sampler` copies nothing, and gives each label the same chance. Boosts meet
    labels by value, never by rank among the labels that happen to be there.

    Args:
        mode: `none`, `original`, `uniform` or `sampler`.
        targets: (n,) labels of the train split, such as impact / 10; any n.
        seed: Of the random copies.
        boosts: Mode `original`: copies to add per row, by label.

    Raises:
        TrainingError: A target is no number, or a boost is negative.
    """
    if not np.isfinite(targets).all():
        raise TrainingError("a target is no number", expected="a number for each row")
    if negative := [label for label, boost in boosts.items() if boost < 0]:
        raise TrainingError(f"the boost of label {negative[0]} is negative", expected="copies to add, 0 or more")
    labels, inverse, counts = np.unique(targets.round(_DECIMALS), return_inverse=True, return_counts=True)
    copies, weights = np.ones(targets.size, dtype=np.int64), np.ones(targets.size)
    generator = np.random.default_rng(seed)
    if mode == "sampler":
        weights = 1 / (labels.size * counts[inverse])
    if mode == "uniform":
        for label, count in enumerate(counts.tolist()):
            copies[inverse == label] += _spread(counts.max() - count, count, generator)
    if mode != "original":
        return Balance(copies, weights)
    by_label = {round(label, _DECIMALS): boost for label, boost in boosts.items()}
    for index, (label, count) in enumerate(zip(labels.tolist(), counts.tolist(), strict=True)):
        added = generator.integers(count, size=round(by_label.get(label, 0) * count))
        copies[inverse == index] += np.bincount(added, minlength=count)
    held = set(labels.tolist())
    return Balance(
        copies,
        weights,
        unmatched_boosts=tuple(sorted(by_label.keys() - held)),
        unboosted=tuple(sorted(label for label in held - by_label.keys() if label)),
    )


def _spread(extra: int, rows: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Share extra copies among rows as evenly as can be; chance decides who has one more."""
    shares = np.full(rows, extra // rows, dtype=np.int64)
    shares[generator.permutation(rows)[: extra % rows]] += 1
    return shares
