"""The phenotype head: it finds what was planted, claims nothing of noise, and never judges what it was fitted to."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, matthews_corrcoef

from glm_assets.errors import CheckpointError, MissingUpstreamError, TrainingError
from glm_assets.evaluation.classification import Classified
from glm_assets.storage.tables import read_part
from glm_assets.studies.plant.configuration import PhenotypeSettings
from glm_assets.studies.plant.cross_validation import (
    CrossValidated,
    choose_folds,
    cross_validate,
    stratified_folds,
)
from glm_assets.studies.plant.phenotype_fitting import fit_phenotype_head, fit_standard
from glm_assets.studies.plant.phenotype_head import make_phenotype_head
from glm_assets.studies.plant.phenotype_head_files import load_phenotype_head
from glm_assets.studies.plant.phenotype_judgement import judge
from glm_assets.studies.plant.phenotypes import make_phenotypes, open_phenotypes
from glm_assets.studies.plant.segment_vectors import SegmentVectors, embed_segments
from glm_assets.studies.plant.study import PlantStudy
from glm_assets_tests.studies.plant.phenotype_toys import make_untrained_lm, toy_study

Pooling = Literal["mean", "attention"]
NAMES = ("creeping", "dwarf", "tall")


def _settings(pooling: Pooling = "mean") -> PhenotypeSettings:
    return PhenotypeSettings(
        file="demo", segment_tokens=4, pooling=pooling, folds=4, epochs=15, learning_rate=0.01, weight_decay=0.01,
        batch_size=8,
    )  # fmt: skip


def _samples(seed: int, signal: float, genes: int = 6, width: int = 16) -> tuple[SegmentVectors, np.ndarray]:
    """Genes that differ much from each other and a little between samples; the class shifts two of them."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([0, 1, 2], [12, 18, 30]))
    vectors = 5 * rng.normal(size=(genes, width)) + rng.normal(0, 0.3, (len(labels), genes, width))
    shift = rng.normal(size=(3, 2, width))
    vectors[:, 1:3] += signal * shift[labels]
    index = np.arange(len(labels) * genes).reshape(len(labels), genes)
    index[rng.random(index.shape) < 0.1] = -1
    return SegmentVectors(vectors.reshape(-1, width).astype(np.float32), index), labels


def _judged(vectors: SegmentVectors, labels: np.ndarray, pooling: Pooling = "mean") -> CrossValidated:
    torch.set_num_threads(1)

    def fit(train: np.ndarray, held_out: np.ndarray) -> np.ndarray:
        head = fit_phenotype_head(vectors, train, labels[train], len(NAMES), _settings(pooling), seed=0)
        return head.probabilities(vectors, held_out)

    return cross_validate(fit, labels, NAMES, folds=4, seed=0)


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_finds_a_planted_signal(pooling: Pooling) -> None:
    facts = judge(_judged(*_samples(1, signal=1.0), pooling), resamples=200, seed=0).facts
    assert facts["accuracy_over_majority"] > 0.3
    assert facts["beats_majority"]
    assert facts["verdict"].startswith("the head beats the commonest class")


def test_claims_nothing_of_noise() -> None:
    for seed in range(2):
        facts = judge(_judged(*_samples(seed, signal=0.0)), resamples=200, seed=0).facts
        assert not facts["beats_majority"]
        assert facts["accuracy_over_majority"] < 0.1
        assert facts["verdict"].startswith("the head does not beat the commonest class")


def test_a_small_lead_is_no_claim() -> None:
    """One more right answer of twenty: the interval of the difference reaches below 0."""
    labels = np.repeat([0, 1], 10)
    predicted = np.array([0] * 7 + [1] * 3 + [1] * 4 + [0] * 6)
    head = Classified(np.eye(2)[predicted], labels, ("a", "b"))
    majority = Classified(np.eye(2)[np.zeros(20, dtype=int)], labels, ("a", "b"))
    facts = judge(CrossValidated(head, majority, np.arange(20) % 4), resamples=500, seed=0).facts
    assert facts["accuracy_over_majority"] == pytest.approx(0.05)
    assert facts["accuracy_over_majority_low"] < 0
    assert not facts["beats_majority"]


def test_what_is_held_out_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither labels nor vectors of the held-out samples change what is fitted, the standardisation included."""
    vectors, labels = _samples(2, signal=0.3)
    train, held_out = stratified_folds(labels, 4, seed=0)[0]
    asked = []
    take = SegmentVectors.take

    def watch(self: SegmentVectors, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        asked.extend(samples.tolist())
        return take(self, samples)

    monkeypatch.setattr(SegmentVectors, "take", watch)
    fit_phenotype_head(vectors, train, labels[train], len(NAMES), _settings(), seed=0)
    assert set(asked) == set(train.tolist())
    assert not set(asked) & set(held_out.tolist())


def test_standardises_each_gene_by_its_own_mean() -> None:
    vectors, _ = _samples(3, signal=1.0)
    samples = np.arange(0, 60, 2)
    standard = fit_standard(vectors, samples)
    dense = np.where(vectors.index[:, :, None] >= 0, vectors.vectors[vectors.index], np.nan)[samples]
    np.testing.assert_allclose(standard.centre, np.nanmean(dense, axis=0), atol=1e-4)
    pooled = np.nanmean((dense - np.nanmean(dense, axis=0)), axis=1)
    np.testing.assert_allclose(standard.scale, pooled.std(axis=0), rtol=1e-3)


def test_figures_are_those_of_held_out_samples_by_fold_and_together() -> None:
    judged = _judged(*_samples(4, signal=0.25))
    table = judge(judged, resamples=200, seed=0).table
    truth, predicted = judged.head.labels, judged.head.predicted
    oracles = {
        "accuracy": accuracy_score,
        "balanced_accuracy": balanced_accuracy_score,
        "macro_f1": lambda true, given: f1_score(true, given, average="macro"),
        "mcc": matthews_corrcoef,
    }
    for fold in range(-1, 4):
        own = np.ones(60, dtype=bool) if fold < 0 else judged.fold == fold
        for name, oracle in oracles.items():
            row = table.filter(fold=fold, predictor="head", figure=name).to_dicts()[0]
            assert row["value"] == pytest.approx(oracle(truth[own], predicted[own]))
            assert row["samples"] == own.sum()
            assert (row["low"] is None) == (fold >= 0)
    together = table.filter(fold=-1)
    assert together.filter((pl.col("low") <= pl.col("value")) & (pl.col("value") <= pl.col("high"))).height == 8
    commonest = table.filter(predictor="majority", figure="accuracy", fold=-1)["value"].item()
    assert commonest == pytest.approx(0.5)


def test_every_sample_is_held_out_once_and_folds_keep_the_shares() -> None:
    labels = np.repeat([0, 1, 2], [12, 18, 30])
    folds = stratified_folds(labels, 4, seed=3)
    assert sorted(np.concatenate([held_out for _, held_out in folds]).tolist()) == list(range(60))
    for train, held_out in folds:
        assert not set(train.tolist()) & set(held_out.tolist())
        assert np.abs(np.bincount(labels[held_out]) - [3, 4.5, 7.5]).max() <= 0.5


def test_the_commonest_class_is_that_of_the_samples_a_fold_fits_to() -> None:
    """Of five and four samples in threes, one fold holds out two of the rarer class: it may not be told of them."""
    labels = np.repeat([0, 1], [5, 4])
    judged = cross_validate(
        lambda train, held_out: np.eye(2)[labels[held_out]], labels, ("a", "b"), folds=3, seed=0
    )
    rarer = [labels[judged.fold == fold].sum() for fold in range(3)]
    assert sorted(rarer) == [1, 1, 2]
    assert judged.majority.predicted.tolist() == [0] * 9
    assert judged.head.predicted.tolist() == labels.tolist()


def test_there_are_no_more_folds_than_samples_of_the_rarest_class() -> None:
    assert choose_folds(np.repeat([0, 1], [9, 3]), ("a", "b"), 5) == 3
    assert choose_folds(np.repeat([0, 1], [9, 8]), ("a", "b"), 5) == 5
    with pytest.raises(TrainingError, match=r"1 of 2 phenotypes have a single sample.*\(b\)"):
        choose_folds(np.repeat([0, 1], [9, 1]), ("a", "b"), 5)
    with pytest.raises(TrainingError, match="all 4 samples have the phenotype 'a'"):
        choose_folds(np.zeros(4, dtype=int), ("a",), 5)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> PlantStudy:
    study = toy_study(tmp_path_factory.mktemp("head"), folds=3)
    make_untrained_lm(study)
    make_phenotypes(study, lambda _: None)
    make_phenotype_head(study, lambda _: None)
    return study


def test_the_product_finds_what_the_generated_genes_tell(made: PlantStudy) -> None:
    facts = made.main.require(made.phenotype_head()).facts
    assert facts["accuracy_over_majority"] > 0.3
    assert facts["baseline"]["majority_accuracy"] == pytest.approx(0.5)
    table = read_part(made.files("phenotype_head"))
    pooled = table.filter(fold=-1, predictor="head", figure="accuracy").to_dicts()[0]
    held_out = pl.read_csv(made.files("phenotype_head") / "held_out.csv")
    assert pooled["value"] == pytest.approx((held_out["phenotype"] == held_out["predicted"]).mean())
    assert held_out["sample"].n_unique() == held_out.height == 60
    assert {"confusion.png", "baseline.png", "model.safetensors", "meta.json"} <= set(
        made.main.require(made.phenotype_head()).files
    )


def test_the_stored_head_gives_what_the_fitted_one_gave(made: PlantStudy, tmp_path: Path) -> None:
    from glm_assets.studies.plant.opening import open_lm

    stored = load_phenotype_head(made.files("phenotype_head"))
    assert stored.labels == NAMES
    assert stored.meta["lm_data_version"] == made.main.require(made.lm()).data_version
    assert stored.meta["species"] == made.species[0]
    data = open_phenotypes(made.files("phenotypes"))
    vectors = embed_segments(data.tokens, data.mask, open_lm(made), 0, tmp_path, lambda _: None)
    samples = np.arange(60)
    labels = np.array([NAMES.index(name) for name in data.table["phenotype"]])
    again = fit_phenotype_head(
        vectors, samples, labels, len(NAMES), made.phenotype_settings, made.values.seed
    ).probabilities(vectors, samples)
    np.testing.assert_allclose(stored.head.probabilities(vectors, samples), again, atol=1e-6)


def test_refuses_damaged_heads(tmp_path: Path, made: PlantStudy) -> None:
    with pytest.raises(MissingUpstreamError, match="no phenotype head"):
        load_phenotype_head(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((made.files("phenotype_head") / "model.safetensors").read_bytes())
    (tmp_path / "meta.json").write_text('{"labels": ["a", "b"], "pooling": "mean"}', encoding="ascii")
    with pytest.raises(CheckpointError, match="holds no phenotype head"):
        load_phenotype_head(tmp_path)
