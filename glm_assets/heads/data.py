"""What a head is trained on: pairs that move the weights, pairs that choose epochs, and pairs that choose soups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import TrainingError
from glm_assets.heads.pairs import Pairs, PairSet, StoredPairs

__all__ = ["HeadData", "PairRows", "PairSet", "Pairs", "StoredPairs", "split_pairs"]

TRAIN, VAL, SOUP_VAL, TEST = "train", "val", "soup_val", "test"


@dataclass(frozen=True)
class HeadData:
    """The pairs a head may see. The test split is not among them.

    Attributes:
        train: Pairs that move the weights.
        val: Pairs that choose epochs.
        soup_val: Pairs that choose soups, on which a head's figures are reported; `val` itself if left out.
        ladders: Mutation ladders that move the weights: the group is the ladder, the length its substitutions.
        val_ladders: Ladders beside `val`.
        soup_ladders: Ladders beside `soup_val`; `val_ladders` where that is `val` itself.

    Raises:
        TrainingError: A set lacks a class, or has labels besides the two.
    """

    train: Pairs
    val: Pairs
    soup_val: Pairs = None  # pyright: ignore[reportAssignmentType]  # set below, so that no reader has to ask
    ladders: Pairs | None = None
    val_ladders: Pairs | None = None
    soup_ladders: Pairs | None = None

    def __post_init__(self) -> None:
        if self.soup_val is None or self.soup_val is self.val:
            object.__setattr__(self, "soup_val", self.val)
            object.__setattr__(self, "soup_ladders", self.val_ladders)
        for name in (TRAIN, VAL, SOUP_VAL):
            _require_both_classes(getattr(self, name).label, name)

    def sets(self) -> dict[str, Pairs]:
        """The distinct sets that there are, by name."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.soup_val is self.val:
            del named[SOUP_VAL], named["soup_ladders"]
        return {name: pairs for name, pairs in named.items() if pairs is not None}

    def digest(self) -> dict[str, str]:
        """Digest of each of the sets."""
        return {name: pairs.digest() for name, pairs in self.sets().items()}


@dataclass(frozen=True)
class PairRows:
    """What is known of n pairs besides their vectors, in file order.

    Attributes:
        label: 1 pathogenic, 0 benign (n,).
        var_len: Difference of allele lengths in bases, 1 for an SNV (n,).
        group: Group of the PCC loss (n,).
        split: `train`, `val`, `test` or, where soups are chosen on pairs of their own, `soup_val` (n,).
    """

    label: NDArray[np.int8]
    var_len: NDArray[np.int16]
    group: NDArray[np.int64]
    split: NDArray[Any]


def split_pairs(
    rows: PairRows, take: Callable[[NDArray[np.int64]], Pairs], *, merge_test_into_train: bool = False
) -> HeadData:
    """Divide pairs by split.

    Args:
        rows: All pairs.
        take: Gives the pairs with some row numbers (m,); it is asked for none that nobody may see.
        merge_test_into_train: Train on the test rows too, as the original does; otherwise nothing ever sees them.

    Raises:
        TrainingError: A split that is needed has no rows or lacks a class.
    """
    unknown = sorted(set(np.unique(rows.split).tolist()) - {TRAIN, VAL, SOUP_VAL, TEST})
    if unknown:
        raise TrainingError(f"unknown splits {unknown}", expected=f"{TRAIN}, {VAL}, {SOUP_VAL} or {TEST}")
    in_train = rows.split == TRAIN
    if merge_test_into_train:
        in_train |= rows.split == TEST
    masks = {TRAIN: in_train, VAL: rows.split == VAL, SOUP_VAL: rows.split == SOUP_VAL}
    for name in (TRAIN, VAL):
        _require_both_classes(rows.label[masks[name]], name)
    return HeadData(**{name: take(np.flatnonzero(mask)) for name, mask in masks.items() if mask.any()})


def _require_both_classes(label: NDArray[np.int8], name: str) -> None:
    pathogenic, benign = int(np.count_nonzero(label == 1)), int(np.count_nonzero(label == 0))
    if not pathogenic or not benign:
        fix = "embed more chromosomes (GLM_CHROMOSOMES), or lower labels.min_stars in the profile"
        halves = "; recipe faithful chooses epochs and soups on the same pairs and so needs fewer"
        raise TrainingError(
            f"split {name!r} has {pathogenic} pathogenic and {benign} benign pairs",
            expected="at least one of each",
            fix=fix if name == TRAIN else fix + halves,
        )
    if pathogenic + benign != len(label):
        raise TrainingError(f"split {name!r} has labels besides 0 and 1", expected="kept rows only")
