"""What a head is trained on: embedded pairs by split, and the groups of the PCC loss."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glm_assets.errors import TrainingError

TRAIN, VAL, TEST = "train", "val", "test"


@dataclass(frozen=True)
class PairSet:
    """Embedded reference/variant pairs; all arrays run over the same n rows.

    Attributes:
        ref: Pooled vector (n, dim) of the reference window, float32 or float16.
        delta: Variant's vector minus the reference's (n, dim), same type.
        label: 1 pathogenic, 0 benign (n,).
        var_len: Difference of allele lengths in bases, 1 for an SNV (n,).
        group: Group of the PCC loss (n,).
    """

    ref: NDArray[np.floating]
    delta: NDArray[np.floating]
    label: NDArray[np.int8]
    var_len: NDArray[np.int16]
    group: NDArray[np.int64]

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) > 1 or self.ref.shape != self.delta.shape:
            raise TrainingError(
                f"pairs do not fit together: rows {lengths}, ref {self.ref.shape}, delta {self.delta.shape}",
                expected="arrays over the same rows",
            )

    def __len__(self) -> int:
        return len(self.label)

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.ref.shape[1]

    def digest(self) -> str:
        """SHA-256 hex digest of all arrays, their types and shapes."""
        digest = hashlib.sha256()
        for field in fields(self):
            array = np.ascontiguousarray(getattr(self, field.name))
            digest.update(f"{field.name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(array.data)
        return digest.hexdigest()

    def take(self, rows: NDArray[np.bool_]) -> PairSet:
        """The rows of a mask, in order."""
        return PairSet(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True)
class HeadData:
    """The pairs a head may see. The test split is not among them.

    Attributes:
        train: Pairs that move the weights.
        val: Pairs that choose checkpoints and soups.
    """

    train: PairSet
    val: PairSet


def window_groups(contig: ArrayLike, window_start: ArrayLike, bucket: int) -> NDArray[np.int64]:
    """Groups of the PCC loss: every `bucket` consecutive distinct windows form one, as in the original pipeline.

    Distinct (contig, start) are numbered in order of first occurrence, so rows must be in file order, chromosome
    after chromosome, and only kept rows may be among them. A bucket can straddle two chromosomes.

    Args:
        contig: Contig of each row (n,).
        window_start: Start of its window (n,).
        bucket: Distinct windows in a group; 100 in the original.
    """
    _, contig_code = np.unique(np.asarray(contig), return_inverse=True)
    window = (contig_code.astype(np.int64) << 40) | np.asarray(window_start, dtype=np.int64)
    _, first, code = np.unique(window, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[code] // bucket


def split_pairs(pairs: PairSet, split: ArrayLike, *, merge_test_into_train: bool = False) -> HeadData:
    """Divide pairs by split.

    Args:
        pairs: All pairs, in file order.
        split: `train`, `val` or `test` of each row (n,).
        merge_test_into_train: Train on the test rows too, as the original does; otherwise nothing ever sees them.

    Raises:
        TrainingError: A split that is needed has no rows or lacks a class.
    """
    split = np.asarray(split)
    unknown = sorted(set(np.unique(split).tolist()) - {TRAIN, VAL, TEST})
    if unknown:
        raise TrainingError(f"unknown splits {unknown}", expected=f"{TRAIN}, {VAL} or {TEST}")
    in_train = split == TRAIN
    if merge_test_into_train:
        in_train |= split == TEST
    return HeadData(
        _with_both_classes(pairs.take(in_train), TRAIN), _with_both_classes(pairs.take(split == VAL), VAL)
    )


def _with_both_classes(pairs: PairSet, name: str) -> PairSet:
    pathogenic = int(np.count_nonzero(pairs.label == 1))
    benign = int(np.count_nonzero(pairs.label == 0))
    if not pathogenic or not benign:
        raise TrainingError(
            f"split {name!r} has {pathogenic} pathogenic and {benign} benign pairs",
            expected="at least one of each",
            fix="embed more chromosomes (GLM_CHROMOSOMES), or lower labels.min_stars in the profile",
        )
    if pathogenic + benign != len(pairs):
        raise TrainingError(f"split {name!r} has labels besides 0 and 1", expected="kept rows only")
    return pairs
