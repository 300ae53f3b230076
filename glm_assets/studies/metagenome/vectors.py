"""Vectors of reads by the language model as it came: no classifier is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.cutting import cut_to_context
from glm_assets.encoders.embed import EmbedReport, Engine, embed_sequences
from glm_assets.encoders.registry import encoder_spec
from glm_assets.encoders.weights import WeightsInfo
from glm_assets.lineage.engines import OtherEncoder, study_engine
from glm_assets.storage.atomic import atomic_path
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets.storage.streamed_tables import write_batches
from glm_assets.storage.tables import Column, Table
from glm_assets.studies.files import existing_file
from glm_assets.studies.metagenome.configuration import PredictSettings
from glm_assets.studies.metagenome.inputs import read_inputs
from glm_assets.studies.metagenome.study import MetagenomeStudy

Progress = Callable[[str], None]


@dataclass(frozen=True)
class VectorSource:
    """The study's encoder, and the store that its vectors go through.

    Attributes:
        spec: What the vectors are.
        weights: The encoder's weights file.
        store: Where they lie.
        engine: Computes those that are missing.
        shard_rows: Reads in a shard of the store.
    """

    spec: EncoderSpec
    weights: Path
    store: EmbeddingStore
    engine: Engine
    shard_rows: int

    def cut(self, sequences: Sequence[str]) -> list[str]:
        """Reads cut to the encoder's context."""
        return cut_to_context(sequences, self.spec, self.weights)

    def embed(self, sequences: Sequence[str] | pl.Series, progress: Progress) -> tuple[pl.Series, EmbedReport]:
        """Bring the vectors of reads into the store.

        Args:
            sequences: Upper-case DNA as `cut` gives it, none empty.
            progress: Called with a line now and then.

        Returns:
            The key of each read, and what had to be done.
        """
        asked = pl.Series("seq", sequences, dtype=pl.String)
        return embed_sequences(
            asked, self.spec, self.engine, self.store, shard_rows=self.shard_rows, progress=progress
        )


def vector_source(study: MetagenomeStudy, weights: WeightsInfo) -> VectorSource:
    """Where the vectors of the study's language model, by its layer and pooling, come from.

    Raises:
        EncoderError: The encoder has no such layer or pooling.
    """
    values, encoder = study.values.model, study.main.profile.encoder
    spec = encoder_spec(
        values.encoder,
        revision=weights.sha256,
        weights=weights.path,
        layer=values.layer,
        pooling=values.pooling,
        device=study.main.settings.device,
    )
    store = study.main.store("float32")
    other = OtherEncoder(weights.path, encoder.batch_tokens)
    return VectorSource(
        spec, weights.path, store, study_engine(study.main, spec, store, other=other), encoder.shard_rows
    )


def vector_table(dimension: int) -> Table:
    """The table of reads' vectors, of a dimension."""
    return Table(
        "metagenome_vectors",
        "One row per read of the user's files: its vector.",
        (
            Column("file", pl.String(), "name of its file"),
            Column("sequence_id", pl.String(), "name of the read"),
            Column("sample", pl.String(), "sample of the read: the CSV's, or the file's name"),
            Column("sequence_length", pl.Int32(), "bases"),
            Column("truncated", pl.Boolean(), "whether the read is longer than the encoder's context"),
            Column("vector", pl.Array(pl.Float32(), dimension), "pooled over the read's tokens"),
        ),
    )


@dataclass(frozen=True)
class Embedded:
    """What was embedded.

    Attributes:
        reads: How many reads.
        computed: Different reads whose vectors were not in the store.
        dimension: Of a vector.
        left_out: Reads without bases, by reason.
    """

    reads: int
    computed: int
    dimension: int
    left_out: Counter[str]


def embed_once(
    study: MetagenomeStudy,
    paths: Sequence[Path],
    parquet: Path,
    *,
    choices: Mapping[str, Any],
    progress: Progress,
) -> Embedded:
    """Write the vectors of reads as one Parquet file, a batch at a time.

    Vectors go through the data root's store: equal reads are computed once, and a killed run finds those it had made.

    Args:
        study: Whose language model, layer and pooling these are.
        paths: FASTA, FASTQ or CSV files.
        parquet: File that appears when all is done, with the columns of `vector_table`.
        choices: Values of `PredictSettings` that differ from the configuration's.
        progress: Called with a line now and then.

    Raises:
        SettingsError: A file does not exist.
        EncoderError: The encoder has no such layer or pooling.
        FormatError: A file is damaged.
    """
    paths = [existing_file(path, "--input") for path in paths]
    settings = PredictSettings.model_validate(study.values.predict.model_dump() | dict(choices))
    source = vector_source(study, study.weights())
    left_out: Counter[str] = Counter()
    computed = 0
    with (
        atomic_path(parquet) as temporary,
        write_batches(vector_table(source.spec.dimension), temporary) as table,
    ):
        for batch in read_inputs(paths, settings, left_out=left_out):
            for part in batch.iter_slices(source.shard_rows):
                cut = source.cut(part["sequence"].to_list())
                keys, report = source.embed(cut, progress)
                computed += report.windows_computed
                table.add(_rows(part, cut, source.store.read_sequences(keys)))
            progress(f"{table.rows:,} reads embedded")
    return Embedded(table.rows, computed, source.spec.dimension, left_out)


def _rows(part: pl.DataFrame, cut: Sequence[str], vectors: NDArray[np.float32]) -> pl.DataFrame:
    return part.drop("sequence").with_columns(
        pl.Series("truncated", [len(text) for text in cut]) < part["sequence_length"],
        pl.Series("vector", vectors, dtype=pl.Array(pl.Float32, vectors.shape[1])),
    )
