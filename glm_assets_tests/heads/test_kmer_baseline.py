"""The k-mer baseline learns composition on both strands, and comes back from its file unchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from glm_assets.errors import CheckpointError, MissingUpstreamError, SettingsError, TrainingError
from glm_assets.heads.kmer_baseline import (
    fit_kmer_baseline,
    load_kmer_baseline,
    save_kmer_baseline,
    some_of_each_class,
)

COMPLEMENT = str.maketrans("ACGT", "TGCA")
SHARES = ((0.4, 0.1, 0.1, 0.4), (0.1, 0.4, 0.4, 0.1), (0.25, 0.25, 0.25, 0.25))


def drawn(number: int, classes: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Reads whose composition tells their class."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, number)
    return ["".join(generator.choice(list("ACGT"), 80, p=SHARES[label])) for label in labels], labels


@pytest.fixture(scope="module")
def fitted():
    train, val = drawn(150, 3, seed=0), drawn(60, 3, seed=1)
    return fit_kmer_baseline(*train, *val, classes=3, k=3)


def test_composition_is_learnt_on_both_strands(fitted):
    reads, labels = drawn(200, 3, seed=2)
    probabilities = fitted.probabilities(reads)
    assert (probabilities.argmax(axis=1) == labels).mean() > 0.85
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    others = [read.translate(COMPLEMENT)[::-1] for read in reads]
    np.testing.assert_allclose(fitted.probabilities(others), probabilities)


def test_the_penalty_is_the_one_that_is_best_on_val():
    train, val = drawn(150, 3, seed=0), drawn(60, 3, seed=1)
    useless = fit_kmer_baseline(*train, *val, classes=3, k=3, strengths=[1e-9])
    both = fit_kmer_baseline(*train, *val, classes=3, k=3, strengths=[1e-9, 1.0])
    assert set(both.validation) == {"1e-09", "1.0"}
    assert both.validation["1.0"] > both.validation["1e-09"] + 0.2
    assert np.abs(both.weight).max() > 100 * np.abs(useless.weight).max()


def test_two_classes_give_the_probabilities_of_the_logistic_curve():
    from sklearn.linear_model import LogisticRegression

    from glm_assets.genome.kmers import kmer_counts, kmer_frequencies

    reads, labels = drawn(120, 2, seed=3)
    baseline = fit_kmer_baseline(reads, labels, reads, labels, classes=2, k=2, strengths=[1.0])
    features = np.sqrt(kmer_frequencies(kmer_counts(reads, 2)).toarray().astype(np.float64))
    expected = LogisticRegression(C=1.0).fit(features, labels).predict_proba(features)
    np.testing.assert_allclose(baseline.probabilities(reads), expected, atol=1e-3)


def test_a_class_without_training_reads_has_no_probability():
    reads, labels = drawn(100, 2, seed=4)
    baseline = fit_kmer_baseline(reads, labels, reads, np.where(labels == 1, 2, 0), classes=4, k=2)
    probabilities = baseline.probabilities([*reads[:5], "NNN"])
    assert probabilities.shape == (6, 4)
    assert probabilities[:, 2:].max() == 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_a_baseline_comes_back_from_its_file_and_equal_ones_have_equal_bytes(fitted, tmp_path):
    for name in ("first", "second"):
        save_kmer_baseline(fitted, tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    again = load_kmer_baseline(tmp_path / "first")
    reads = drawn(20, 3, seed=5)[0]
    assert np.array_equal(again.probabilities(reads), fitted.probabilities(reads))
    assert (again.validation, again.classes) == (fitted.validation, 3)


def test_of_many_reads_each_class_gives_its_share_from_all_of_its_length():
    """Reads lie by file and genome, whose first ones alone would be a few genomes."""
    labels = np.repeat([0, 1, 2, 0], [600, 399, 1, 1000])
    chosen = some_of_each_class(labels, 100)
    assert np.bincount(labels[chosen]).tolist() == [80, 19, 1]
    assert (np.diff(chosen) > 0).all()
    own = np.cumsum(labels == 0)[chosen[labels[chosen] == 0]] - 1  # places among the 1600 of the class
    assert np.array_equal(own, np.arange(0, 1600, 20))
    assert np.array_equal(some_of_each_class(labels, 100), chosen)
    assert np.array_equal(some_of_each_class(labels, 2000), np.arange(2000))


def test_other_files_are_refused(fitted, tmp_path):
    path = tmp_path / "kmers.safetensors"
    with pytest.raises(MissingUpstreamError, match="no k-mer baseline"):
        load_kmer_baseline(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_kmer_baseline(path)
    save_file({"weight": np.zeros((2, 2))}, path)
    with pytest.raises(CheckpointError, match="is no k-mer baseline"):
        load_kmer_baseline(path)
    save_kmer_baseline(replace(fitted, k=4), path)
    with pytest.raises(CheckpointError, match="weights of shape"):
        load_kmer_baseline(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_labels": np.zeros(4, int)}, "of one class"),
        ({"train_labels": np.zeros(3, int)}, "3 labels for 4 train reads"),
        ({"val_labels": np.array([0, 2])}, "a val label is not one of the 2 classes"),
        ({"val_sequences": [], "val_labels": np.zeros(0, int)}, "0 labels for 0 val reads"),
    ],
)
def test_labels_that_do_not_fit_are_refused(change, message):
    given = {
        "train_sequences": ["ACGT"] * 4,
        "train_labels": np.array([0, 1, 0, 1]),
        "val_sequences": ["ACGT"] * 2,
        "val_labels": np.array([0, 1]),
    }
    with pytest.raises(TrainingError, match=message):
        fit_kmer_baseline(**(given | change), classes=2, k=2)


def test_no_penalty_to_try_is_refused():
    labels = np.array([0, 1])
    with pytest.raises(SettingsError, match="without strengths"):
        fit_kmer_baseline(["A", "C"], labels, ["A", "C"], labels, classes=2, strengths=[])
