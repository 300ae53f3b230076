"""The search tries what it says, begins with the study's own values, and outlives kills and trials that diverge."""

from __future__ import annotations

import polars as pl
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("vortex")
pytest.importorskip("peft")
optuna = pytest.importorskip("optuna")

from glm_assets.errors import TrainingError  # noqa: E402
from glm_assets.storage.schemas_sugarcane import SEARCH  # noqa: E402
from glm_assets.studies.sugarcane import search as room  # noqa: E402
from glm_assets.studies.sugarcane.search import OWN, make_search, own_values, vary  # noqa: E402
from glm_assets.tracking import NullTracker  # noqa: E402
from glm_assets.training.checkpoints import EpochRecord  # noqa: E402
from glm_assets_tests.studies.sugarcane.tiny_training import VARIETY, ToyStudy, shallow_evo2, toy_study, train  # noqa: E402

SHORT = {"trials": 3, "steps": 4, "learning_rate": (1e-3, 3e-2), "ranks": (2,), "dropout": (0.0, 0.0)}
SHORTENED = {
    *("learning_rate", "min_learning_rate", "steps", "validate_steps", "warmup_steps"),
    *("checkpoint_steps", "patience", "processes", "accumulation"),
}
OTHER = {"learning_rate": 2e-3, "rank": 2, "alpha_per_rank": 1.0, "dropout": 0.0, "targets": "mlps"}


def values_of(folder, **changes):
    return toy_study(folder, bases=2_000, search=SHORT, **changes).values


def search(study: ToyStudy, told=lambda _: None):
    return make_search(study, VARIETY, NullTracker(), told, dagster_run_id="run")


def table_of(study: ToyStudy) -> pl.DataFrame:
    return pl.read_parquet(study.files("search", VARIETY) / "part.parquet", hive_partitioning=False)


@pytest.fixture
def told_of(monkeypatch):
    """In place of training: what a trial does, by its number; a list of the trials that began."""

    def replace(act):
        begun: list[int] = []

        def pretend(job, ranks, progress, on_epoch, *, judge_before):
            assert not judge_before
            begun.append(int(job["work"].rpartition("_")[2]))
            for epoch, loss in enumerate(act(begun[-1]), start=1):
                on_epoch(EpochRecord(epoch, 0.1, {"loss": loss}, {"loss": loss, "score": -loss}, ""))

        monkeypatch.setattr(room, "train_part", pretend)
        return begun

    return replace


def test_the_first_trial_has_the_studys_own_values(tmp_path):
    values = values_of(tmp_path, training={"learning_rate": 0.07}, model={"also_train": ("norm",)})
    model, training = vary(values, optuna.trial.FixedTrial(own_values(values)))
    assert model == values.model
    assert training.learning_rate == 0.07  # though it is above what is searched
    assert training.steps == 4
    before, after = values.training.model_dump(), training.model_dump()
    assert {name for name in before if before[name] != after[name]} <= SHORTENED


def test_other_values_take_the_place_of_the_studys(tmp_path):
    values = values_of(tmp_path, training={"processes": 2, "accumulation": 3, "min_learning_rate": 0.01})
    model, training = vary(values, optuna.trial.FixedTrial(OTHER))
    assert model.lora is not None
    assert (model.lora.rank, model.lora.alpha, model.lora.targets) == (2, 2.0, ("l1", "l2", "l3"))
    assert model.also_train == values.model.also_train
    assert training.items_in_a_step == values.training.items_in_a_step  # by one process
    assert (training.processes, training.accumulation) == (1, 6)
    assert training.min_learning_rate == training.learning_rate == 2e-3  # no decay upwards


def test_of_a_model_that_is_trained_whole_the_learning_rate_alone_is_searched(tmp_path):
    values = values_of(tmp_path, model={"method": "full", "lora": None, "also_train": ()})
    trial = optuna.trial.FixedTrial(own_values(values))
    model, _ = vary(values, trial)
    assert set(trial.params) == set(own_values(values)) == {"learning_rate"}
    assert model == values.model


def test_three_trials_are_no_worse_than_the_studys_own_values(tmp_path, monkeypatch):
    shallow_evo2(monkeypatch)
    study = toy_study(tmp_path, bases=6_000, search=SHORT, training={"validation_windows": 2})
    lines: list[str] = []
    facts = search(study, lines.append).facts
    table = table_of(study)
    assert dict(table.schema) == dict(SEARCH.schema)
    assert table["trial"].to_list() == [0, 1, 2]
    own = study.values.model.lora
    assert own is not None
    assert table.row(0, named=True) == {
        "variety": VARIETY,
        "trial": 0,
        "state": "complete",
        "loss": facts["own_loss"],
        "learning_rate": study.values.training.learning_rate,
        "rank": own.rank,
        "alpha": own.alpha,
        "dropout": own.dropout,
        "targets": OWN,
    }
    assert facts["best_loss"] == table["loss"].min() <= facts["own_loss"]
    plain = {"steps": 4, "validate_steps": 1, "validation_windows": 2}
    trained = train(toy_study(tmp_path / "plain", bases=6_000, training=plain)).facts
    assert facts["own_loss"] == pytest.approx(trained["best_loss"], abs=1e-6)
    assert (facts["trials"], facts["pruned"]) == (3, 0)
    assert len(lines) == 3
    assert {path.name for path in study.files("search", VARIETY).iterdir()} == {
        *("part.parquet", "search.png", "manifest.json"),
    }


def test_poor_trials_and_those_that_diverge_are_given_up(tmp_path, told_of):
    """The loss is the smallest of a trial's validations; the fourth is poor, the fifth diverges."""

    def act(number: int):
        if number == 4:
            raise TrainingError("training diverged in epoch 1")
        return [9.0] * 4 if number == 3 else [2.0 + number, 1.0 + number, 1.5 + number, 1.5 + number]

    told_of(act)
    study = toy_study(tmp_path, bases=2_000, search=SHORT | {"trials": 5})
    facts = search(study).facts
    table = table_of(study)
    assert table["state"].to_list() == ["complete"] * 3 + ["pruned"] * 2
    assert table["loss"].to_list() == [1.0, 2.0, 3.0, None, None]
    assert (facts["best_loss"], facts["own_loss"], facts["pruned"]) == (1.0, 1.0, 2)


def test_a_killed_search_ends_as_if_it_had_not_been(tmp_path, monkeypatch):
    """What is drawn does not depend on when a search was killed; the nearer to 0.003 the better."""
    tried = []

    def score(study, variety, trial, scratch):
        tried.append(trial.number)
        loss = abs(vary(study.values, trial)[1].learning_rate - 3e-3)
        if len(tried) == 3:
            raise KeyboardInterrupt
        return -loss

    monkeypatch.setattr(room, "_score", score)
    killed, whole = (toy_study(tmp_path / name, bases=2_000, search=SHORT | {"trials": 4}) for name in "ab")
    with pytest.raises(KeyboardInterrupt):
        search(killed)
    search(killed)
    assert len(tried) == 5  # the third twice
    search(whole)
    assert table_of(killed).equals(table_of(whole))
