"""Training: what can be learned is, what cannot is not, and a killed training ends as if it had not been killed."""

from __future__ import annotations

import numpy as np
import pytest

from glm_assets.errors import TrainingError
from glm_assets.studies.impact.fitting import fit_baseline, fit_convolution, require_rows
from glm_assets.studies.impact.linear import fit_linear, load_linear, save_linear
from glm_assets.tracking.protocol import NullRun
from glm_assets.training.balancing import balance
from glm_assets_tests.studies.impact.vectors import rows_of, settings, stored

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

CPU = "cpu"
BOOSTS = {0.1: 10, 0.2: 20, 0.5: 20, 1.0: 40}


def train(head, activations, train, val, folder, run=None, seed=1):
    return fit_convolution(
        head,
        activations,
        train,
        val,
        folder,
        key="key",
        seed=seed,
        device=CPU,
        run=run or NullRun(),
        progress=lambda _: None,
    )


def predictions(fitted, activations, at):
    from glm_assets.studies.impact.network import predict

    return predict(fitted.model, activations.blocks(at), torch.device(CPU))


def pearson(x, y):
    return float(np.corrcoef(x, y)[0, 1])


@pytest.fixture(scope="module")
def random_features(tmp_path_factory):
    """Features that say nothing, and labels as rare as the original's."""
    generator = np.random.default_rng(5)
    target = np.repeat([0.0, 0.1, 0.2, 0.5, 1.0], [330, 24, 12, 16, 12])
    generator.shuffle(target)
    values = generator.normal(size=(len(target), 8, 16))
    return stored(tmp_path_factory.mktemp("random"), values), target


def test_split_before_balancing_nothing_is_learned_from_random_features(random_features, tmp_path):
    activations, target = random_features
    order = np.random.default_rng(1).permutation(len(target))
    own, val, test = order[:240], order[240:300], order[300:]
    copies = balance("original", target[own], seed=1, boosts=BOOSTS).copies
    fitted = train(
        settings(epochs=15), activations, rows_of(own, target[own], copies), rows_of(val, target[val]), tmp_path
    )
    assert abs(pearson(predictions(fitted, activations, test), target[test])) < 0.3
    scores = [record["validation"]["rmse"] for record in fitted.history]
    error = predictions(fitted, activations, val) - target[val]
    assert 10 * np.sqrt((error**2).mean()) == pytest.approx(min(scores), rel=1e-5)
    assert min(scores) < scores[-1]  # or the last epoch would do


def test_in_the_originals_order_random_features_seem_to_predict_nearly_all(random_features, tmp_path):
    """Copies first, split then: the test holds copies of what was trained on."""
    activations, target = random_features
    copies = balance("original", target, seed=1, boosts=BOOSTS).copies
    repeated = np.repeat(np.arange(len(target)), copies)
    order = np.random.default_rng(1).permutation(len(repeated))
    cut = int(0.8 * len(repeated))
    own, test = repeated[order[:cut]], repeated[order[cut:]]
    fitted = train(
        settings(epochs=40), activations, rows_of(own, target[own]), rows_of(test, target[test]), tmp_path
    )
    assert pearson(predictions(fitted, activations, test), target[test]) > 0.95


MOTIF = "CACGTG"


def one_hot(reads: list[str]) -> np.ndarray:
    return np.array([[[base == letter for letter in "ACGT"] for base in read] for read in reads], np.float32)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Reads of 60 bases; a motif about their middle, where variants lie, makes the target 1."""
    generator = np.random.default_rng(3)
    reads, target = [], []
    for number in range(700):
        read = "".join(generator.choice(list("ACGT"), 60))
        if number % 2:
            start = int(generator.integers(24, 31))
            read = read[:start] + MOTIF + read[start + 6 :]
        reads.append(read)
        target.append(float(MOTIF in read))
    return stored(tmp_path_factory.mktemp("planted"), one_hot(reads), dtype="float16"), np.array(target)


def test_a_planted_motif_is_found_and_the_mean_of_positions_does_not_show_it(planted, tmp_path):
    activations, target = planted
    own, val, test = np.arange(450), np.arange(450, 550), np.arange(550, 700)
    own_rows, val_rows = rows_of(own, target[own]), rows_of(val, target[val])
    fitted = train(settings(epochs=25), activations, own_rows, val_rows, tmp_path)

    def rmse(found):
        return float(np.sqrt(((found - target[test]) ** 2).mean()))

    mean = rmse(np.full(len(test), target[own].mean()))
    assert rmse(predictions(fitted, activations, test)) < 0.6 * mean
    linear, _ = fit_baseline(activations, own_rows, val_rows)
    assert rmse(linear.predict(activations.means(test))) > 0.8 * mean


class Killed(BaseException):
    """As a kill: nothing but finally blocks runs."""


class KillingRun(NullRun):
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def log_epoch(self, epoch, metrics):
        if epoch == self.epoch:
            raise Killed


def test_a_killed_training_goes_on_and_ends_as_if_it_had_not_been_killed(planted, tmp_path):
    activations, target = planted
    own, val = rows_of(np.arange(200), target[:200]), rows_of(np.arange(200, 260), target[200:260])
    head = settings(epochs=5)
    whole = train(head, activations, own, val, tmp_path / "whole")
    with pytest.raises(Killed):
        train(head, activations, own, val, tmp_path / "killed", KillingRun(3))
    kept = (tmp_path / "killed" / "epoch_003.safetensors").stat().st_mtime_ns
    again = train(head, activations, own, val, tmp_path / "killed")
    if (tmp_path / "killed" / "epoch_003.safetensors").exists():
        assert (tmp_path / "killed" / "epoch_003.safetensors").stat().st_mtime_ns == kept  # not trained anew
    assert again.history == whole.history
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name


def test_the_sampler_draws_by_weight_and_copies_are_all_seen(planted):
    from glm_assets.studies.impact.network import make_head
    from glm_assets.studies.impact.task import ImpactTask

    activations, _ = planted
    target = np.r_[np.zeros(90), np.ones(10)]
    balanced = balance("sampler", target, seed=0, boosts={})
    drawn = rows_of(np.arange(100), target, balanced.copies, balanced.weights)
    repeated = rows_of(np.arange(100), target, np.r_[np.ones(90), np.full(10, 9)])
    model = make_head(settings(), activations.length, activations.width)
    torch.manual_seed(0)
    for rows, expected in ((drawn, 100), (repeated, 180)):
        task = ImpactTask(model, activations, rows, rows, 16)
        seen = torch.cat([target for _ in range(20) for _, target in task.batches(1)])
        assert len(seen) == 20 * expected
        assert float(seen.mean()) == pytest.approx(0.5, abs=0.05)


def test_ridge_is_the_closed_form_and_its_strength_is_chosen_by_val(tmp_path):
    generator = np.random.default_rng(0)
    features, weight = generator.normal(3, 2, size=(80, 5)), generator.random(80)
    target = 0.5 + 0.05 * features[:, 0] - 0.1 * features[:, 3] + 0.02 * generator.normal(size=80)
    model, tried = fit_linear(features[:60], target[:60], weight[:60], features[60:], target[60:])
    strength = float(min(tried, key=lambda name: tried[name]))
    share = weight[:60] / weight[:60].sum() * 60
    mean = np.average(features[:60], axis=0, weights=share)
    deviation = np.sqrt(np.average((features[:60] - mean) ** 2, axis=0, weights=share))
    x, y = (features[:60] - mean) / deviation, target[:60] - np.average(target[:60], weights=share)
    expected = np.linalg.solve(x.T @ (share[:, None] * x) + strength * np.eye(5), x.T @ (share * y))
    assert model.weight == pytest.approx(expected, rel=1e-6)
    save_linear(model, tmp_path / "linear.safetensors")
    again = load_linear(tmp_path / "linear.safetensors")
    assert np.array_equal(again.predict(features), model.predict(features))
    assert float(model.predict(features + 1000).max()) <= 1


def test_nothing_to_learn_from_is_said():
    some, none = rows_of(np.arange(3), np.zeros(3)), rows_of(np.arange(0), np.zeros(0))
    with pytest.raises(TrainingError, match="split val"):
        require_rows(some, none)
    with pytest.raises(TrainingError, match="all 3 training examples have the impact 0"):
        require_rows(some, some)


def test_activations_are_those_in_the_store_however_they_are_read(planted, monkeypatch):
    from glm_assets.studies.impact import activations as module

    activations, _ = planted
    whole = activations.read(np.arange(700))
    monkeypatch.setattr(module, "_BLOCK_BYTES", 7 * 4 * 60 * 4)
    assert activations.block_rows == 7
    at = np.array([5, 5, 699, 0, 350])
    assert np.array_equal(np.concatenate(list(activations.blocks(at))), whole[at])
    mean, deviation = activations.channel_statistics(np.arange(700))
    flat = whole.reshape(-1, 4).astype(np.float64)
    assert mean == pytest.approx(flat.mean(axis=0), rel=1e-6)
    assert deviation == pytest.approx(flat.std(axis=0), rel=1e-6)
    assert activations.means(at) == pytest.approx(whole[at].mean(axis=1))
