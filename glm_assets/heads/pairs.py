"""Embedded reference/variant pairs, in memory or in the store of vectors, and what is known of each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import TrainingError
from glm_assets.storage.vector_reader import VectorReader


class Pairs(Protocol):
    """n pairs that can be read by number; reading changes nothing, so threads may read at once."""

    @property
    def label(self) -> NDArray[np.int8]:
        """1 pathogenic, 0 benign (n,)."""
        ...

    @property
    def var_len(self) -> NDArray[np.int16]:
        """Difference of allele lengths in bases, 1 for an SNV; substitutions of a ladder's window (n,)."""
        ...

    @property
    def group(self) -> NDArray[np.int64]:
        """Group of the PCC loss (n,)."""
        ...

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        ...

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Type of the vectors, float32 or float16."""
        ...

    def __len__(self) -> int:
        """How many there are."""
        ...

    def read_into(self, out: NDArray[np.floating], at: NDArray[np.int64]) -> None:
        """Read pairs.

        Args:
            out: Receives reference vectors and differences variant - reference (m, 2, dim), of the type `dtype`.
            at: Which (m,).
        """
        ...

    def expect_use(self) -> None:
        """Say that all vectors will be read soon and again, and that memory has room for them."""
        ...

    def digest(self) -> str:
        """SHA-256 hex digest of everything a training on them is a function of."""
        ...


@dataclass(frozen=True)
class PairSet:
    """Pairs in memory; all arrays run over the same n rows.

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
        _require_one_length({field.name: len(getattr(self, field.name)) for field in fields(self)})
        if self.ref.shape != self.delta.shape:
            raise TrainingError(
                f"pairs do not fit together: ref {self.ref.shape}, delta {self.delta.shape}", expected="one shape"
            )

    def __len__(self) -> int:
        return len(self.label)

    @property
    def dim(self) -> int:
        """See `Pairs`."""
        return self.ref.shape[1]

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """See `Pairs`."""
        return self.ref.dtype

    def read_into(self, out: NDArray[np.floating], at: NDArray[np.int64]) -> None:
        """See `Pairs`."""
        out[:, 0], out[:, 1] = self.ref[at], self.delta[at]

    def expect_use(self) -> None:
        """Nothing: they are in memory."""

    def digest(self) -> str:
        """See `Pairs`: of all arrays, their types and shapes."""
        return _digest({field.name: getattr(self, field.name) for field in fields(self)})


@dataclass(frozen=True)
class StoredPairs:
    """Pairs whose vectors stay in the store until they are read.

    Attributes:
        vectors: Where the vectors are.
        keys: Under which key of the store each is (n,), 64 hexadecimal digits.
        dtype: Type they are read as.
        label: 1 pathogenic, 0 benign (n,).
        var_len: Difference of allele lengths in bases, 1 for an SNV (n,).
        group: Group of the PCC loss (n,).
    """

    vectors: VectorReader
    keys: pl.Series
    dtype: np.dtype[np.floating]
    label: NDArray[np.int8]
    var_len: NDArray[np.int16]
    group: NDArray[np.int64]

    def __post_init__(self) -> None:
        names = ("vectors", "keys", "label", "var_len", "group")
        _require_one_length({name: len(getattr(self, name)) for name in names})

    def __len__(self) -> int:
        return len(self.label)

    @property
    def dim(self) -> int:
        """See `Pairs`."""
        return self.vectors.dimension

    def read_into(self, out: NDArray[np.floating], at: NDArray[np.int64]) -> None:
        """See `Pairs`."""
        self.vectors.read_into(out, at)

    def expect_use(self) -> None:
        """See `Pairs`: the kernel reads the files ahead, in order, and keeps them."""
        self.vectors.read_ahead()

    def digest(self) -> str:
        """See `Pairs`: a key is a digest of all that makes its vectors, so these are not read."""
        keys = np.frombuffer("".join(self.keys.to_list()).encode("ascii"), np.uint8)
        known = {"label": self.label, "var_len": self.var_len, "group": self.group}
        return _digest({"keys": keys, **known, "dtype": np.empty(0, self.dtype)})


def read_pairs(pairs: Pairs, at: NDArray[np.int64]) -> NDArray[np.floating]:
    """Reference vectors and differences variant - reference (m, 2, dim) of the pairs with the numbers `at` (m,)."""
    out = np.empty((len(at), 2, pairs.dim), pairs.dtype)
    pairs.read_into(out, at)
    return out


def _require_one_length(lengths: dict[str, int]) -> None:
    if len(set(lengths.values())) > 1:
        raise TrainingError(f"pairs do not fit together: rows {lengths}", expected="arrays over the same rows")


def _digest(arrays: dict[str, NDArray[np.generic]]) -> str:
    digest = hashlib.sha256()
    for name, array in arrays.items():
        contiguous = np.ascontiguousarray(array)
        digest.update(f"{name} {contiguous.dtype.str} {contiguous.shape}\n".encode())
        digest.update(contiguous.data)
    return digest.hexdigest()
