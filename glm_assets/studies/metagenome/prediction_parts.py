"""What a classifier said of reads, kept a batch at a time: a prediction that is killed goes on from its last batch."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.storage.atomic import atomic_path
from glm_assets.studies.metagenome.classifiers import ReadClassifier
from glm_assets.studies.metagenome.samples import Aggregation, SampleVectors


@dataclass(frozen=True)
class Part:
    """Of one batch.

    Attributes:
        probabilities: (n, labels) float32.
        unknown_share: (n,) share of unknown tokens.
        truncated: (n,) whether a read was cut.
        samples: (m,) names of its samples.
        values: (m, d) their sums, or largest values, of vectors.
        reads: (m,) their reads.
    """

    probabilities: NDArray[np.float32]
    unknown_share: NDArray[np.float64]
    truncated: NDArray[np.bool_]
    samples: Sequence[str]
    values: NDArray[np.float64]
    reads: NDArray[np.int64]


class Parts:
    """Batches that are classified once.

    Args:
        folder: Where they are kept; it belongs to these files and this classifier alone.
        classifier: Classifies what is not there.
        aggregation: Of a sample's vectors.
    """

    def __init__(self, folder: Path, classifier: ReadClassifier, aggregation: Aggregation) -> None:
        self._folder = folder
        self._classifier = classifier
        self._aggregation: Aggregation = aggregation
        self.computed = 0
        folder.mkdir(parents=True, exist_ok=True)

    def of(self, number: int, batch: pl.DataFrame) -> Part:
        """The part of the batch of that number."""
        path = self._folder / f"{number:06d}.npz"
        if found := _read(path):
            return found
        part = self._classify(batch)
        self.computed += batch.height
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **{**vars(part), "samples": np.array(part.samples, dtype=np.str_)})
        return part

    def _classify(self, batch: pl.DataFrame) -> Part:
        said = self._classifier.classify(batch["sequence"].to_list())
        vectors = SampleVectors(self._aggregation)
        vectors.add(batch["sample"], said.vectors)
        return Part(
            said.probabilities, said.unknown_share, said.truncated, vectors.names, vectors.values, vectors.reads
        )


def _read(path: Path) -> Part | None:
    """A part that is there and whole."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            values = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile):
        return None
    return Part(**values | {"samples": values["samples"].tolist()})
