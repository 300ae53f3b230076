"""Labels of reads without one, as streams: files may be larger than memory."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from glm_assets.errors import SettingsError
from glm_assets.evaluation.abundance_figures import plot_abundance
from glm_assets.evaluation.figures import save_figure
from glm_assets.storage.atomic import digest_of, file_digest
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_metagenome import ABUNDANCE, SAMPLES
from glm_assets.storage.tables import PART
from glm_assets.studies.files import existing_file
from glm_assets.studies.metagenome.abundance import Abundance, write_taxon_table
from glm_assets.studies.metagenome.classifiers import ReadClassifier
from glm_assets.studies.metagenome.configuration import PredictSettings
from glm_assets.studies.metagenome.inputs import read_inputs
from glm_assets.studies.metagenome.label_map import read_label_map
from glm_assets.studies.metagenome.prediction_files import write_predictions, write_sample_predictions
from glm_assets.studies.metagenome.prediction_parts import Part, Parts
from glm_assets.studies.metagenome.samples import SampleVectors
from glm_assets.studies.metagenome.study import MetagenomeStudy

Progress = Callable[[str], None]

READS_CSV, SAMPLES_CSV, TAXA_CSV = "predictions.csv", "samples.csv", "abundance.csv"


@dataclass
class Predicted:
    """What was predicted.

    Attributes:
        reads: How many reads.
        computed: Those of them that were not there from a killed run.
        left_out: Reads without bases, by reason.
        formula_ids: Names that a spreadsheet would run.
        truncated: Reads that were cut.
        unknown: Sum over reads of the share of unknown tokens.
        largest_sum_error: Largest difference of a read's probabilities' sum to 1.
        labels: Reads by predicted label.
    """

    reads: int
    computed: int
    left_out: Counter[str]
    formula_ids: int
    truncated: int
    unknown: float
    largest_sum_error: float
    labels: Counter[str]


def make_predictions(study: MetagenomeStudy, files: Sequence[Path] | None, progress: Progress) -> Manifest:
    """Label the reads of the user's files.

    Args:
        study: The study.
        files: Others than the configuration's.
        progress: Called with a line now and then.

    Raises:
        SettingsError: No file is named, or one does not exist.
        MissingUpstreamError: The classifier is absent or out of date.
        FormatError: A file is damaged.
    """
    paths = study.new_files(files)
    if not paths:
        raise SettingsError(
            "predictions has no files to predict",
            expected="FASTA, FASTQ or CSV files",
            fix="name them in predict.files of GLM_METAGENOME, or in the run's configuration (files: [...])",
        )
    product = study.predictions(paths)

    def build(work: Path) -> Facts:
        classifier = study.open_classifier()
        done, abundance = predict_files(
            classifier, paths, study.values.predict, work / READS_CSV, scratch=work / ".parts", progress=progress
        )
        ABUNDANCE.write(abundance, work / ABUNDANCE.file_name)
        write_taxon_table(abundance, read_label_map(study.mapping).tax_ids, work / TAXA_CSV)
        if done.reads:
            save_figure(plot_abundance(abundance), work / "abundance.png")
        return {
            "rows": done.reads,
            "computed": done.computed,
            "left_out": dict(done.left_out),
            "predicted": dict(done.labels),
            "samples": abundance["sample_id"].n_unique(),
            "truncated_reads": done.truncated,
            "unknown_token_share": done.unknown / max(1, done.reads),
            "formula_ids": done.formula_ids,
            "largest_sum_error": done.largest_sum_error,
        }

    return product.make(build)


def predict_once(
    study: MetagenomeStudy,
    paths: Sequence[Path],
    csv: Path,
    *,
    folder: Path | None,
    choices: Mapping[str, Any],
    progress: Progress,
) -> Predicted:
    """Label reads outside of the study's products.

    Args:
        study: Whose configuration and language model these are.
        paths: FASTA, FASTQ or CSV files.
        csv: File to write, others beside it; finished batches are kept in a hidden folder there until all are.
        folder: Of a trained classifier; the study's own by default.
        choices: Values of `PredictSettings` that differ from the configuration's.
        progress: Called with a line now and then.

    Raises:
        SettingsError: A file does not exist.
        MissingUpstreamError: The study has no classifier.
        CheckpointError: The folder holds no classifier of this configuration.
    """
    paths = [existing_file(path, "--input") for path in paths]
    settings = PredictSettings.model_validate(study.values.predict.model_dump() | dict(choices))
    classifier = study.open_classifier(folder, settings.batch_size)
    key = digest_of([_version(study, folder), settings.model_dump(mode="json"), *map(file_digest, paths)])
    scratch = csv.with_name(f".{csv.name}.{key[:16]}.partial")
    csv.parent.mkdir(parents=True, exist_ok=True)
    done, abundance = predict_files(classifier, paths, settings, csv, scratch=scratch, progress=progress)
    write_taxon_table(abundance, {}, csv.with_name(TAXA_CSV))
    shutil.rmtree(scratch)
    return done


def predict_files(
    classifier: ReadClassifier,
    paths: Sequence[Path],
    settings: PredictSettings,
    csv: Path,
    *,
    scratch: Path,
    progress: Progress,
) -> tuple[Predicted, pl.DataFrame]:
    """Label the reads of files, and aggregate their samples.

    Beside the CSV of reads appear the table of reads (`part.parquet`) and the samples as CSV and Parquet.

    Args:
        classifier: Labels them.
        paths: The files.
        settings: Columns of tables, aggregation, confidence.
        csv: File of the reads' labels.
        scratch: Where finished batches are kept until all are.
        progress: Called with a line now and then.

    Returns:
        Counts, and rows of the table `metagenome_abundance`.
    """
    done = Predicted(0, 0, Counter(), 0, 0, 0.0, 0.0, Counter(dict.fromkeys(classifier.labels, 0)))
    parts = Parts(scratch, classifier, settings.aggregation)
    samples, abundance = SampleVectors(settings.aggregation), Abundance(classifier.labels, settings.min_confidence)
    with write_predictions(csv, csv.with_name(PART), classifier.labels, settings.top_k) as writer:
        for number, batch in enumerate(read_inputs(paths, settings, left_out=done.left_out)):
            part = parts.of(number, batch)
            writer.add(_told(batch, part), part.probabilities)
            samples.merge(pl.Series(part.samples, dtype=pl.String), part.values, part.reads)
            abundance.add(batch["sample"], part.probabilities)
            _count(done, part, classifier.labels)
            progress(f"{writer.rows:,} reads labelled")
        done.reads, done.formula_ids, done.computed = writer.rows, writer.formula_ids, parts.computed
    vectors = samples.vectors().astype(np.float32)
    of_samples = classifier.of_vectors(vectors) if samples.names else np.zeros((0, len(classifier.labels)))
    write_sample_predictions(
        csv.with_name(SAMPLES_CSV),
        csv.with_name(SAMPLES.file_name),
        samples.names,
        samples.reads,
        of_samples,
        classifier.labels,
    )
    return done, abundance.table()


def _version(study: MetagenomeStudy, folder: Path | None) -> str:
    """What tells a classifier from another in the same place, so that none goes on with what the other said."""
    if folder is None:
        return study.main.require(study.classifier()).data_version
    files = [path for path in sorted(folder.iterdir()) if path.suffix in (".json", ".safetensors")]
    return digest_of({path.name: file_digest(path) for path in files})


def _told(batch: pl.DataFrame, part: Part) -> pl.DataFrame:
    return batch.drop("sequence").with_columns(
        pl.Series("unknown_share", part.unknown_share), pl.Series("truncated", part.truncated)
    )


def _count(done: Predicted, part: Part, labels: tuple[str, ...]) -> None:
    sums = part.probabilities.sum(axis=1, dtype=np.float64)
    done.truncated += int(part.truncated.sum())
    done.unknown += float(part.unknown_share.sum())
    done.largest_sum_error = max(done.largest_sum_error, float(np.abs(sums - 1).max(initial=0.0)))
    found, counts = np.unique(part.probabilities.argmax(axis=1), return_counts=True)
    done.labels.update({labels[index]: int(count) for index, count in zip(found, counts, strict=True)})
