"""Resampling genomes equals drawing their rows again and judging those; intervals hold the truth as often as said."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn import metrics

from glm_assets.errors import EvaluationError
from glm_assets.evaluation import classification_intervals
from glm_assets.evaluation.classification import Classified
from glm_assets.evaluation.classification_intervals import (
    classes_of_one_source,
    compare_classifiers,
    resample_by_class,
)

NAMES = ("a", "b", "c")


def drawn(generator: np.random.Generator, genomes: int, reads: int, right: float, spread: float):
    """Reads whose genome decides how often they are right."""
    source = np.repeat(np.arange(genomes), reads)
    share = np.clip(right + generator.uniform(-spread, spread, genomes), 0, 1)[source]
    labels = generator.integers(0, 3, len(source))
    wrong = (labels + generator.integers(1, 3, len(source))) % 3
    predicted = np.where(generator.random(len(source)) < share, labels, wrong)
    return Classified(np.eye(3)[predicted], labels, NAMES), source


def interval(rows, source, figure="accuracy", **options):
    """The interval of a figure of one classifier."""
    table = compare_classifiers(rows, rows, source, **options)
    return table.filter(figure=figure).select("model_low", "model_high").row(0)


def peak_of(work) -> int:
    """Bytes that some work holds at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def counts_of(resamples) -> np.ndarray:
    return np.concatenate(list(resamples.blocks())).astype(int)


def test_many_resamples_of_reads_of_their_own_take_little_memory():
    """All draws of a million such reads would be 2 GB; here they would be 80 MB."""
    labels = np.repeat([0, 1, 2], 10_000)
    rows = Classified(np.eye(3, dtype=np.float32)[labels], labels, NAMES)
    assert peak_of(lambda: compare_classifiers(rows, rows, np.arange(30_000), resamples=1300)) < 2.5e7


def test_draws_do_not_depend_on_how_many_are_held(monkeypatch):
    rows, source = drawn(np.random.default_rng(0), genomes=8, reads=6, right=0.6, spread=0.3)
    expected = counts_of(resample_by_class(source, rows.labels, 20, 4))
    monkeypatch.setattr(classification_intervals, "block_rows", lambda size: 3)
    resamples = resample_by_class(source, rows.labels, 20, 4)
    assert [len(block) for block in resamples.blocks()] == [3] * 6 + [2]
    assert np.array_equal(counts_of(resamples), expected)


def test_many_rows_of_many_classes_with_one_genome_each_take_little_memory():
    """Each row is a source of its own then; all cells of each would be 8 bytes x rows x classes squared: 0.3 GB."""
    generator = np.random.default_rng(0)
    labels, predicted = generator.integers(0, 80, (2, 6_000))
    rows = Classified(np.eye(80, dtype=np.float32)[predicted], labels, tuple(f"class {n}" for n in range(80)))
    assert peak_of(lambda: compare_classifiers(rows, rows, labels, resamples=5)) < 5e7


def test_each_resample_is_what_scikit_learn_says_of_its_rows():
    rows, source = drawn(np.random.default_rng(0), genomes=8, reads=6, right=0.6, spread=0.3)
    resamples = resample_by_class(source, rows.labels, 20, 4)
    draws = []
    for times in counts_of(resamples):
        again = np.repeat(np.arange(len(source)), times[resamples.cluster])
        true, given = rows.labels[again], rows.predicted[again]
        f1 = metrics.f1_score(true, given, average="macro")
        draws.append((metrics.accuracy_score(true, given), f1, metrics.matthews_corrcoef(true, given)))
    for figure, of in zip(("accuracy", "macro_f1", "mcc"), np.transpose(draws), strict=True):
        found = interval(rows, source, figure, resamples=20, seed=4)
        assert found == pytest.approx(np.percentile(of, (2.5, 97.5)))


def test_intervals_hold_the_true_accuracy_about_as_often_as_they_say():
    held, widths_of_rows, widths = 0, [], []
    for seed in range(120):
        rows, source = drawn(np.random.default_rng(seed), genomes=40, reads=10, right=0.6, spread=0.35)
        low, high = interval(rows, source, resamples=200, seed=seed)
        held += low <= 0.6 <= high
        widths.append(high - low)
        if seed < 10:
            widths_of_rows.append(np.diff(interval(rows, np.arange(len(source)), resamples=200, seed=seed))[0])
    assert 0.87 <= held / 120 <= 0.99
    assert np.mean(widths) > 1.2 * np.mean(widths_of_rows)  # rows are no independent observations


def test_each_class_keeps_its_sources_and_the_rows_of_one_source_are_drawn_apart():
    source = np.repeat(["a1", "a2", "a3", "b1", "c1", "c2"], 10)
    labels = np.repeat([0, 0, 0, 1, 2, 2], 10)
    labels[5] = 2  # a stray row: its source stays with its commonest class
    rows = Classified(np.eye(3)[labels], labels, NAMES)
    assert classes_of_one_source(rows, source) == ("b",)
    resamples = resample_by_class(source, labels, 300, seed=0)
    weights = counts_of(resamples)[:, resamples.cluster]
    for name, rows_of_class in (("a", 30), ("b", 10), ("c", 20)):
        own = np.array([one.startswith(name) for one in source])
        assert set(weights[:, own].sum(axis=1)) == {rows_of_class}
    for name in ("a1", "a2", "c2"):
        assert all(len(set(row)) == 1 for row in weights[:, source == name])
    assert any(len(set(row)) > 1 for row in weights[:, source == "b1"])
    assert weights.mean(axis=0) == pytest.approx(np.ones(60), abs=0.2)


def test_a_class_of_two_genomes_is_in_every_resample():
    """Of ten genomes two are of the class: every tenth resample of all genomes would miss it."""
    source, labels = np.repeat(np.arange(10), 20), np.repeat([0, 1, 0, 1, 0, 1, 0, 1, 2, 2], 20)
    rows = Classified(np.eye(3)[labels], labels, NAMES)
    assert interval(rows, source, "macro_f1", resamples=300) == (1, 1)
    counts = counts_of(resample_by_class(source, labels, 300, seed=0))
    assert (counts[:, 8:].sum(axis=1) == 2).all()


def test_names_and_numbers_of_sources_are_the_same_to_it():
    rows, source = drawn(np.random.default_rng(1), genomes=9, reads=5, right=0.7, spread=0.1)
    names = np.array([f"genome_{number}" for number in source])
    assert interval(rows, source, "mcc", resamples=50) == interval(rows, names, "mcc", resamples=50)


def test_few_genomes_have_figures_but_no_intervals():
    rows, _ = drawn(np.random.default_rng(2), genomes=4, reads=20, right=0.7, spread=0.1)
    table = compare_classifiers(rows, rows, np.repeat(np.arange(4), 20))
    assert table["low"].null_count() == table["model_low"].null_count() == 3
    assert table["model"].null_count() == 0


def test_a_difference_is_taken_resample_by_resample():
    generator = np.random.default_rng(3)
    baseline, source = drawn(generator, genomes=30, reads=10, right=0.5, spread=0.45)
    predicted = baseline.predicted.copy()
    mended = np.flatnonzero(~baseline.correct)[::5]  # the model mends a fifth of the baseline's errors
    predicted[mended] = baseline.labels[mended]
    model = Classified(np.eye(3)[predicted], baseline.labels, NAMES)
    table = compare_classifiers(model, baseline, source, resamples=400, seed=1)
    assert table["figure"].to_list() == ["accuracy", "macro_f1", "mcc"]
    row = table.row(0, named=True)
    assert row["difference"] == pytest.approx(len(mended) / len(source))
    assert row["low"] > 0
    assert row["high"] - row["low"] < 0.5 * (row["model_high"] - row["model_low"])


def test_a_model_against_itself_gains_nothing():
    rows, source = drawn(np.random.default_rng(5), genomes=10, reads=4, right=0.7, spread=0.2)
    table = compare_classifiers(rows, rows, source, resamples=30)
    assert table.select("difference", "low", "high").rows() == [(0, 0, 0)] * 3


def test_other_rows_cannot_be_compared():
    rows, source = drawn(np.random.default_rng(6), genomes=6, reads=4, right=0.7, spread=0.2)
    turned = Classified(rows.probabilities, rows.labels[::-1], NAMES)
    with pytest.raises(EvaluationError, match="different rows"):
        compare_classifiers(rows, turned, source)
    with pytest.raises(EvaluationError, match="5 sources for 24 rows"):
        compare_classifiers(rows, rows, source[:5])
    with pytest.raises(EvaluationError, match="0 bootstrap resamples"):
        compare_classifiers(rows, rows, source, resamples=0)
