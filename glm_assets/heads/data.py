"""What a head is trained on: embedded pairs by split, and the groups of the PCC loss."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glm_assets.errors import TrainingError

VectorPair = tuple[NDArray[np.floating], NDArray[np.floating]]

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


@dataclass(frozen=True)
class PairRows:
    """What is known of n pairs besides their vectors, in file order.

    Attributes:
        label: 1 pathogenic, 0 benign (n,).
        var_len: Difference of allele lengths in bases, 1 for an SNV (n,).
        group: Group of the PCC loss (n,).
        split: `train`, `val` or `test` (n,).
    """

    label: NDArray[np.int8]
    var_len: NDArray[np.int16]
    group: NDArray[np.int64]
    split: NDArray[Any]


def split_pairs(rows: PairRows, vectors: Iterable[VectorPair], *, merge_test_into_train: bool = False) -> HeadData:
    """Divide pairs by split, holding each kept vector once.

    Args:
        rows: All pairs.
        vectors: Blocks of reference vectors and differences (block, dim) that run over the rows in order; vectors
            of a split that nobody may see are dropped as they pass.
        merge_test_into_train: Train on the test rows too, as the original does; otherwise nothing ever sees them.

    Raises:
        TrainingError: A split that is needed has no rows or lacks a class, or the vectors do not fit the rows.
    """
    unknown = sorted(set(np.unique(rows.split).tolist()) - {TRAIN, VAL, TEST})
    if unknown:
        raise TrainingError(f"unknown splits {unknown}", expected=f"{TRAIN}, {VAL} or {TEST}")
    in_train = rows.split == TRAIN
    if merge_test_into_train:
        in_train |= rows.split == TEST
    masks = (in_train, rows.split == VAL)
    for name, mask in zip((TRAIN, VAL), masks, strict=True):
        _require_both_classes(rows.label[mask], name)
    train, val = (
        PairSet(ref, delta, rows.label[mask], rows.var_len[mask], rows.group[mask])
        for mask, (ref, delta) in zip(masks, _gather(vectors, masks), strict=True)
    )
    return HeadData(train, val)


def _gather(vectors: Iterable[VectorPair], masks: tuple[NDArray[np.bool_], ...]) -> list[VectorPair]:
    """Collect the vectors under each mask into arrays that are allocated once."""
    gathered: list[VectorPair] = []
    start = 0
    for block in vectors:
        stop = start + len(block[0])
        for index, mask in enumerate(masks):
            if len(gathered) == index:
                shape = (int(mask.sum()), block[0].shape[1])
                gathered.append((np.empty(shape, block[0].dtype), np.empty(shape, block[1].dtype)))
            here = mask[start:stop]
            first = int(mask[:start].sum())
            for whole, part in zip(gathered[index], block, strict=True):
                whole[first : first + int(here.sum())] = part[: len(here)][here]
        start = stop
    if start != len(masks[0]):
        raise TrainingError(
            f"there are {start:,} vectors for {len(masks[0]):,} rows", expected="a vector for each"
        )
    return gathered


def _require_both_classes(label: NDArray[np.int8], name: str) -> None:
    pathogenic, benign = int(np.count_nonzero(label == 1)), int(np.count_nonzero(label == 0))
    if not pathogenic or not benign:
        raise TrainingError(
            f"split {name!r} has {pathogenic} pathogenic and {benign} benign pairs",
            expected="at least one of each",
            fix="embed more chromosomes (GLM_CHROMOSOMES), or lower labels.min_stars in the profile",
        )
    if pathogenic + benign != len(label):
        raise TrainingError(f"split {name!r} has labels besides 0 and 1", expected="kept rows only")
