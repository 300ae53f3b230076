"""Telling phenotypes from the frozen language model's vectors of genes, judged on samples that were held out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from glm_assets.errors import TrainingError
from glm_assets.evaluation.classification import confusion_matrix
from glm_assets.evaluation.classification_figures import plot_against_baseline, plot_confusion
from glm_assets.evaluation.figures import save_figure
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_plant import PHENOTYPE_HEAD
from glm_assets.storage.tables import PART
from glm_assets.studies.plant.cross_validation import CrossValidated, choose_folds, cross_validate
from glm_assets.studies.plant.opening import open_lm
from glm_assets.studies.plant.phenotype_fitting import fit_phenotype_head
from glm_assets.studies.plant.phenotype_head_files import save_phenotype_head
from glm_assets.studies.plant.phenotype_judgement import Judgement, judge
from glm_assets.studies.plant.phenotypes import GENES, open_phenotypes
from glm_assets.studies.plant.segment_vectors import embed_segments
from glm_assets.studies.plant.study import PlantStudy

Progress = Callable[[str], None]

HELD_OUT: Final = "held_out.csv"


def make_phenotype_head(study: PlantStudy, progress: Progress) -> Manifest:
    """Embed genes, cross-validate a head beside the commonest class, and fit one to all samples.

    Raises:
        MissingUpstreamError: The model or the samples are absent or out of date.
        EncoderError: The model does not know the species.
        TrainingError: There are too few samples of a phenotype.
    """

    def build(work: Path) -> Facts:
        settings, seed = study.phenotype_settings, study.values.seed
        folder = study.files("phenotypes")
        data, network = open_phenotypes(folder), open_lm(study)
        species = settings.species or network.config.species[0]
        vectors = embed_segments(
            data.tokens, data.mask, network, network.config.species_index(species), work, progress
        )
        samples = np.flatnonzero(data.mask.any(axis=1))
        phenotypes = data.table["phenotype"].to_numpy()[samples]
        if not len(samples):
            raise TrainingError("no sample has a gene", expected="sequences", fix="look at plant/phenotypes")
        names, labels = _classes(phenotypes)
        folds = choose_folds(labels, names, settings.folds)

        def fit(train: np.ndarray, held_out: np.ndarray) -> np.ndarray:
            head = fit_phenotype_head(vectors, samples[train], labels[train], len(names), settings, seed)
            return head.probabilities(vectors, samples[held_out])

        judged = cross_validate(fit, labels, names, folds, seed)
        progress(f"{folds} folds of {len(samples):,} samples judged")
        final = fit_phenotype_head(vectors, samples, labels, len(names), settings, seed)
        meta = {
            "labels": list(names),
            "species": species,
            "lm_data_version": study.main.require(study.lm()).data_version,
            "genes": json.loads((folder / GENES).read_text(encoding="utf-8")),
            "k": network.config.k,
            "segment_tokens": settings.segment_tokens,
        }
        save_phenotype_head(final, meta, work)
        _write_held_out(judged, data.table["sample"].to_numpy()[samples], work / HELD_OUT)
        counts = {
            "samples_without_genes": len(data.table) - len(samples),
            "genes": data.mask.shape[1],
            "different_segments": len(vectors.vectors),
            "folds_asked": settings.folds,
        }
        judgement = judge(judged, resamples=study.values.resamples, seed=seed)
        PHENOTYPE_HEAD.write(judgement.table, work / PART)
        _draw(judged, judgement, work)
        return counts | judgement.facts

    return study.phenotype_head().make(build)


def _classes(phenotypes: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """The phenotypes in alphabetical order, and the number of each sample's (n,)."""
    names = sorted(set(phenotypes.tolist()))
    numbers = {name: number for number, name in enumerate(names)}
    return tuple(names), np.array([numbers[name] for name in phenotypes.tolist()], dtype=np.int64)


def _draw(judged: CrossValidated, judgement: Judgement, work: Path) -> None:
    title = f"{len(judged.fold):,} held-out samples in {judged.folds} folds"
    save_figure(
        plot_confusion(confusion_matrix(judged.head), judged.head.names, title=title), work / "confusion.png"
    )
    figure = plot_against_baseline(judgement.compared, baseline="commonest class", title=title)
    save_figure(figure, work / "baseline.png")


def _write_held_out(judged: CrossValidated, samples: np.ndarray, path: Path) -> None:
    """What each sample was taken for by the fold that held it out, for those who look at single ones."""
    head = judged.head
    pl.DataFrame(
        {
            "sample": samples.tolist(),
            "fold": judged.fold,
            "phenotype": [head.names[number] for number in head.labels],
            "predicted": [head.names[number] for number in head.predicted],
            "confidence": head.confidence,
            "majority": [head.names[number] for number in judged.majority.predicted],
        }
    ).write_csv(path)
