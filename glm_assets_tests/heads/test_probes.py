"""Probes against scikit-learn used directly, on planted and on shuffled labels, and read back from disk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glm_assets.errors import CheckpointError, MissingUpstreamError, TrainingError
from glm_assets.heads.data import HeadData
from glm_assets.heads.pairs import PairSet
from glm_assets.heads.probe_fit import STRENGTHS, draw_rows, fit_probe
from glm_assets.heads.probes import load_probe, save_probe

DIM = 24


def pairs(n: int, seed: int, noise: float = 1.0, *, shuffled: bool = False) -> PairSet:
    """Variants that move along one direction, pathogenic ones farther."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.4).astype(np.int8)
    direction = np.random.default_rng(99).normal(size=DIM)
    delta = label[:, None] * direction / np.linalg.norm(direction) + noise * rng.normal(size=(n, DIM))
    return PairSet(
        ref=rng.normal(size=(n, DIM)).astype(np.float32),
        delta=delta.astype(np.float32),
        label=rng.permutation(label) if shuffled else label,
        var_len=np.ones(n, np.int16),
        group=np.zeros(n, np.int64),
    )


def noisy_data() -> HeadData:
    """Classes that overlap, so that the strength matters."""
    return HeadData(pairs(300, 1), pairs(150, 2), pairs(140, 3))


def some(of: PairSet, rows) -> PairSet:
    return PairSet(of.ref[rows], of.delta[rows], of.label[rows], of.var_len[rows], of.group[rows])


def scikit_learn(train: PairSet, other: PairSet, strength: float):
    """Probabilities of other pairs, by the plainest use of scikit-learn."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000, tol=1e-8))
    model.fit(train.delta.astype(np.float64), train.label)
    return model.predict_proba(other.delta.astype(np.float64))[:, 1]


def test_a_probe_is_the_logistic_regression_of_scikit_learn_of_the_strength_that_ranks_val_best():
    from sklearn.metrics import roc_auc_score

    data = noisy_data()
    fitted = fit_probe(data)
    aurocs = {c: roc_auc_score(data.val.label, scikit_learn(data.train, data.val, c)) for c in STRENGTHS}
    assert fitted.tried == pytest.approx(aurocs, abs=2e-3)
    assert fitted.strength == max(aurocs, key=aurocs.get)
    expected = scikit_learn(data.train, data.soup_val, fitted.strength)
    assert fitted.val_probability == pytest.approx(expected, abs=2e-3)
    assert (fitted.rows, fitted.rows_there) == (300, 300)


def test_its_figures_are_those_of_pairs_that_chose_nothing():
    from sklearn.metrics import average_precision_score, roc_auc_score

    data = noisy_data()
    fitted, label = fit_probe(data), data.soup_val.label
    assert fitted.figures.auroc == pytest.approx(roc_auc_score(label, fitted.val_probability))
    assert fitted.figures.auprc == pytest.approx(average_precision_score(label, fitted.val_probability))
    assert fitted.figures.brier == pytest.approx(np.mean((fitted.val_probability - label) ** 2))


def test_equal_strengths_give_way_to_the_stronger_penalty():
    data = HeadData(pairs(300, 1, noise=0.01), pairs(100, 2, noise=0.01))
    fitted = fit_probe(data)
    assert set(fitted.tried.values()) == {1.0}
    assert fitted.strength == min(STRENGTHS)


def test_a_planted_direction_is_found():
    assert fit_probe(HeadData(pairs(600, 1, noise=0.3), pairs(200, 2, noise=0.3))).figures.auroc > 0.95


def test_shuffled_labels_teach_nothing():
    aurocs = [
        fit_probe(HeadData(*(pairs(400, 3 * seed + part, shuffled=True) for part in range(3)))).figures.auroc
        for seed in range(8)
    ]
    assert np.mean(aurocs) == pytest.approx(0.5, abs=3 * 0.03 / np.sqrt(8))


def test_with_the_reference_it_is_a_function_of_both():
    data = noisy_data()
    fitted = fit_probe(data, features="ref_delta")
    assert len(fitted.probe.weight) == 2 * DIM
    moved = fitted.probe.probability(data.soup_val.ref + 1, data.soup_val.delta)
    assert not np.allclose(moved, fitted.val_probability)


@pytest.mark.parametrize("features", ["delta", "ref_delta"])
def test_a_loaded_probe_gives_the_very_same_scores(tmp_path, features):
    data = noisy_data()
    fitted = fit_probe(data, features=features)
    save_probe(fitted.probe, tmp_path)
    again = load_probe(tmp_path)
    probability = again.probability(data.soup_val.ref, data.soup_val.delta)
    assert np.array_equal(probability, fitted.val_probability)
    assert again.features == features


def test_mlflow_s_model_gives_the_same_probabilities_from_the_differences(tmp_path):
    from glm_assets.heads import probe_pyfunc

    data = noisy_data()
    fitted = fit_probe(data)
    save_probe(fitted.probe, tmp_path)
    card = probe_pyfunc.probe_card(fitted.probe)
    model = probe_pyfunc._load_pyfunc(str(tmp_path))
    assert (card.kind, card.in_dim, card.out_dim, card.loader) == ("probe", DIM, None, probe_pyfunc.__name__)
    assert np.array_equal(model.predict(data.soup_val.delta), fitted.val_probability)


def test_a_draw_is_by_key_and_not_by_place():
    keys = [f"{number:064x}" for number in range(400)]
    rows = draw_rows(keys, 100, seed=3)
    assert len(set(rows.tolist())) == 100
    assert (np.diff(rows) > 0).all()
    mixed = [keys[number] for number in np.random.default_rng(0).permutation(400)]
    assert {mixed[row] for row in draw_rows(mixed, 100, seed=3)} == {keys[row] for row in rows}
    assert not np.array_equal(draw_rows(keys, 100, seed=4), rows)
    assert draw_rows(keys, 400, seed=3).tolist() == list(range(400))


def test_only_the_rows_drawn_are_fitted_and_counted():
    data = noisy_data()
    rows = np.arange(0, 300, 3)
    fitted = fit_probe(data, rows=rows)
    expected = scikit_learn(some(data.train, rows), data.soup_val, fitted.strength)
    assert (fitted.rows, fitted.rows_there) == (100, 300)
    assert fitted.val_probability == pytest.approx(expected, abs=2e-3)


def test_half_precision_vectors_are_fitted_too():
    data = noisy_data()
    half = HeadData(
        *(replace(p, ref=p.ref.astype(np.float16), delta=p.delta.astype(np.float16))
          for p in (data.train, data.val, data.soup_val))
    )  # fmt: skip
    assert fit_probe(half).val_probability == pytest.approx(fit_probe(data).val_probability, abs=2e-3)


def test_a_feature_that_never_changes_does_no_harm():
    train = pairs(300, 1, noise=0.3)
    train.delta[:, 0] = 7
    fitted = fit_probe(HeadData(train, pairs(100, 2, noise=0.3)))
    assert np.isfinite(fitted.probe.weight).all()
    assert fitted.figures.auroc > 0.9


def test_what_cannot_be_fitted_says_why():
    data = noisy_data()
    with pytest.raises(TrainingError, match="0 pathogenic"):
        fit_probe(data, rows=np.flatnonzero(data.train.label == 0))
    data.train.delta[3, 3] = np.nan
    with pytest.raises(TrainingError, match="hold NaN"):
        fit_probe(data)


def test_files_that_are_no_probe_are_refused(tmp_path):
    from safetensors.numpy import save_file

    with pytest.raises(MissingUpstreamError, match="no probe at"):
        load_probe(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no safetensors")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_probe(tmp_path)
    save_file({"mean": np.zeros(3), "scale": np.ones(3)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="is no probe"):
        load_probe(tmp_path)


def test_equal_probes_have_equal_bytes(tmp_path):
    """The version of a probe is the checksum of its files; a format that orders its entries by chance would show."""
    probe = fit_probe(noisy_data()).probe
    written = set()
    for number in range(12):
        (tmp_path / str(number)).mkdir()
        save_probe(probe, tmp_path / str(number))
        written.add((tmp_path / str(number) / "model.safetensors").read_bytes())
    assert len(written) == 1
