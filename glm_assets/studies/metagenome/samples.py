"""Running sums over the reads of each sample: of vectors and of probabilities, whatever the number of reads."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from glm_assets.errors import EvaluationError

Aggregation = Literal["mean", "max", "sum"]

Matrix = NDArray[np.float64]


class SampleSums:
    """The sum, or the largest value, of each column over the rows of each sample.

    Attributes:
        names: Samples in the order in which they came.

    Args:
        largest: Take the largest value in place of the sum.
    """

    def __init__(self, *, largest: bool = False) -> None:
        self.names: list[str] = []
        self._combine = np.maximum if largest else np.add
        self._start = -np.inf if largest else 0.0
        self._places: dict[str, int] = {}
        self._values: Matrix | None = None
        self._rows: NDArray[np.int64] = np.zeros(0, np.int64)

    def add(self, samples: pl.Series, values: ArrayLike, rows: NDArray[np.int64] | None = None) -> None:
        """Take in rows.

        Args:
            samples: (n,) names.
            values: (n, columns) numbers; as many columns each time.
            rows: (n,) how many rows each of these stands for; one by default.

        Raises:
            EvaluationError: The shapes do not fit.
        """
        block = np.asarray(values, np.float64)
        width = block.shape[1:] if self._values is None else self._values.shape[1:]
        if block.ndim != 2 or len(block) != len(samples) or block.shape[1:] != width:
            raise EvaluationError(
                f"{len(samples)} samples and values of shape {block.shape}", expected="a row each"
            )
        if not len(block):
            return
        places = self._places_of(samples)
        order = np.argsort(places, kind="stable")
        distinct, starts = np.unique(places[order], return_index=True)
        stands_for = np.ones(len(block), np.int64) if rows is None else rows
        # Twice the rows that are needed at once: growing by one sample at a time would copy all each time.
        missing = len(self.names) - len(self._rows)
        if missing > 0 or self._values is None:
            spare = missing + len(self.names)
            fresh = np.full((spare, block.shape[1]), self._start)
            self._values = fresh if self._values is None else np.concatenate([self._values, fresh])
            self._rows = np.concatenate([self._rows, np.zeros(spare, np.int64)])
        combined = self._combine.reduceat(block[order], starts, axis=0)
        self._values[distinct] = self._combine(self._values[distinct], combined)
        self._rows[distinct] += np.add.reduceat(stands_for[order], starts)

    @property
    def rows(self) -> NDArray[np.int64]:
        """(samples,) rows of each sample."""
        return self._rows[: len(self.names)]

    @property
    def values(self) -> Matrix:
        """(samples, columns) sums or largest values; (0, 0) before the first row."""
        return np.empty((0, 0)) if self._values is None else self._values[: len(self.names)]

    def _places_of(self, samples: pl.Series) -> NDArray[np.int64]:
        for name in samples.unique(maintain_order=True).to_list():
            if name not in self._places:
                self._places[name] = len(self.names)
                self.names.append(name)
        return samples.replace_strict(self._places, return_dtype=pl.Int64).to_numpy()


class SampleVectors:
    """One vector for each sample, from those of its reads.

    Args:
        method: mean, max (of each dimension) or sum.
    """

    def __init__(self, method: Aggregation) -> None:
        self._method = method
        self._sums = SampleSums(largest=method == "max")

    def add(self, samples: pl.Series, vectors: ArrayLike) -> None:
        """Take in reads.

        Args:
            samples: (n,) the sample of each read.
            vectors: (n, dim) their vectors.

        Raises:
            EvaluationError: The shapes do not fit.
        """
        self._sums.add(samples, vectors)

    def merge(self, names: pl.Series, values: ArrayLike, reads: NDArray[np.int64]) -> None:
        """Take in what other vectors of the same method had: their `names`, `values` and `reads`."""
        self._sums.add(names, values, reads)

    @property
    def names(self) -> list[str]:
        """Samples in the order in which they came."""
        return self._sums.names

    @property
    def values(self) -> Matrix:
        """(samples, dim) the sums, or largest values, that `vectors` are made of."""
        return self._sums.values

    @property
    def reads(self) -> NDArray[np.int64]:
        """(samples,) reads of each sample."""
        return self._sums.rows

    def vectors(self) -> Matrix:
        """(samples, dim) the vectors of the samples."""
        values = self._sums.values
        return values / self.reads[:, None] if self._method == "mean" and len(values) else values
