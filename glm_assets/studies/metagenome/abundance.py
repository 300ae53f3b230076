"""How much of each sample each label is, and how diverse the sample is, from the probabilities of its reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.storage.atomic import atomic_path
from glm_assets.storage.schemas_metagenome import ABUNDANCE
from glm_assets.studies.metagenome.samples import SampleSums


class Abundance:
    """Counts over reads, a batch at a time.

    Args:
        labels: In the order of their indices.
        min_confidence: Reads whose largest probability is smaller are not counted; their probabilities still enter the
            mean.
    """

    def __init__(self, labels: Sequence[str], min_confidence: float) -> None:
        self._labels = list(labels)
        self._min_confidence = min_confidence
        self._sums = SampleSums()

    def add(self, samples: pl.Series, probabilities: NDArray[np.floating]) -> None:
        """Take in reads.

        Args:
            samples: (n,) the sample of each read.
            probabilities: (n, labels).

        Raises:
            EvaluationError: The shapes do not fit.
        """
        counted = probabilities.max(axis=1, initial=0.0) >= self._min_confidence
        chosen = np.eye(len(self._labels))[probabilities.argmax(axis=1)] * counted[:, None]
        self._sums.add(samples, np.concatenate([chosen, probabilities], axis=1))

    def table(self) -> pl.DataFrame:
        """One row per sample and label, of the table `metagenome_abundance`.

        `share`, `shannon` (in nats) and `simpson` (1 - sum of squared shares) are of the counted reads; they are null
        for a sample without any.
        """
        classes, samples = len(self._labels), len(self._sums.names)
        reads, probabilities = np.split(
            self._sums.values.reshape(samples, -1 if samples else 2 * classes), 2, axis=1
        )
        counted = reads.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = reads / counted
            logs = np.where(shares > 0, np.log(shares), 0.0)
        shannon = -(shares * logs).sum(axis=1) + 0.0
        simpson = 1 - (shares**2).sum(axis=1)
        columns = {
            "sample_id": np.repeat(np.array(self._sums.names, dtype=object), classes),
            "label": self._labels * samples,
            "reads": reads.ravel(),
            "share": shares.ravel(),
            "mean_probability": (probabilities / np.maximum(self._sums.rows, 1)[:, None]).ravel(),
            "shannon": np.repeat(shannon, classes),
            "simpson": np.repeat(simpson, classes),
            "uncounted": np.repeat(self._sums.rows - counted[:, 0], classes),
        }
        frame = pl.DataFrame([pl.Series(name, list(values)) for name, values in columns.items()])
        return frame.cast(ABUNDANCE.schema).with_columns(pl.col("share", "shannon", "simpson").fill_nan(None))


def write_taxon_table(abundance: pl.DataFrame, tax_ids: Mapping[str, int | None], path: Path) -> None:
    """Write abundances as CSV with the columns Taxon, Species_Name, Prediction and Norm_Prediction.

    Args:
        abundance: Rows of the table `metagenome_abundance`.
        tax_ids: Taxonomy id of each label, empty where there is none.
        path: The file; a column Sample comes first where there are several samples.
    """
    taxon = pl.col("label").replace_strict(dict(tax_ids), default=None, return_dtype=pl.Int64)
    sample = [pl.col("sample_id").alias("Sample")] if abundance["sample_id"].n_unique() > 1 else []
    rows = abundance.select(
        *sample,
        taxon.alias("Taxon"),
        pl.col("label").alias("Species_Name"),
        pl.col("reads").alias("Prediction"),
        pl.col("share").alias("Norm_Prediction"),
    )
    with atomic_path(path) as temporary:
        rows.write_csv(temporary)
