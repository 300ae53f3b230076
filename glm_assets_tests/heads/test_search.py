"""A search tries what it says, goes on where it stopped, and ends as if it had not stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from glm_assets.errors import TrainingError
from glm_assets.heads.recipes import ORIGINAL_RECIPES, RECIPES, HeadRecipe
from glm_assets.heads.search import search_recipe, vary
from glm_assets.training.search import DATABASE, SearchResult, Trial
from glm_assets_tests.heads.planted import DIM, planted_data

optuna = pytest.importorskip("optuna")

TRIALS = 6


def recipe(epochs: int = 3) -> HeadRecipe:
    return ORIGINAL_RECIPES["v0"].scaled(in_dim=DIM, widths=(16, 12), epochs=epochs, batch_size=64)


def search(work: Path, *, trials: int = TRIALS, on_trial=lambda _: None, **changes) -> SearchResult:
    return search_recipe(
        recipe(**changes),
        planted_data(),
        None,
        work,
        trials=trials,
        device="cpu",
        on_trial=on_trial,
        progress=lambda _: None,
    )


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> SearchResult:
    return search(tmp_path_factory.mktemp("unbroken"))


def test_the_best_trial_is_the_one_with_the_largest_score(unbroken):
    assert [trial.number for trial in unbroken.trials] == list(range(TRIALS))
    scores = [trial.score for trial in unbroken.trials if trial.score is not None]
    assert unbroken.best is not None
    assert unbroken.best.score == max(scores) > min(scores)
    assert all((trial.score is None) == (trial.state == "pruned") for trial in unbroken.trials)


def test_importance_is_a_share_of_each_value_that_was_varied(unbroken):
    assert set(unbroken.importance) == set(unbroken.trials[0].values)
    assert sum(unbroken.importance.values()) == pytest.approx(1)


def test_a_search_that_stopped_goes_on_and_ends_like_one_that_did_not(tmp_path, unbroken):
    seen: list[Trial] = []

    def stop(trial: Trial) -> None:
        seen.append(trial)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, on_trial=stop)
    again: list[Trial] = []
    result = search(tmp_path, on_trial=again.append)
    assert again == list(result.trials) == list(unbroken.trials)
    assert search(tmp_path).trials == result.trials  # and nothing more is tried
    assert [path.name for path in tmp_path.iterdir()] == [DATABASE]


def test_a_trial_that_was_killed_is_tried_again_with_its_values(tmp_path, unbroken):
    script = f"""
        import os, signal
        from pathlib import Path
        from glm_assets.heads import search as room
        from glm_assets_tests.heads.test_search import search
        def kill(*_, **__):
            os.kill(os.getpid(), signal.SIGKILL)
        room.train_head = kill
        search(Path({str(tmp_path)!r}))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -signal.SIGKILL
    result = search(tmp_path, trials=1)
    (trial,) = result.trials
    assert trial == unbroken.trials[0]


def test_the_values_of_a_killed_trial_come_first(tmp_path, unbroken):
    study = optuna.create_study(
        storage=f"sqlite:///{tmp_path / DATABASE}", study_name="recipe", direction="maximize"
    )
    running = study.ask()
    vary(recipe(), running)
    result = search(tmp_path, trials=1)
    assert result.trials[0].values == running.params


def test_a_trial_that_falls_behind_is_given_up(tmp_path, monkeypatch):
    from glm_assets.heads import search as room

    def worse_and_worse(recipe, data, teacher, scratch, out, *, device, run, progress):
        number = int(scratch.name.removeprefix("trial_"))
        for epoch in range(1, 9):
            run.log_epoch(epoch, {"val/score": -number * epoch})
        history = [{"validation": {"score": -number * epoch}} for epoch in range(1, 9)]
        return type("Result", (), {"history": history})

    monkeypatch.setattr(room, "train_head", worse_and_worse)
    result = search(tmp_path)
    assert [trial.state for trial in result.trials] == ["complete"] * 3 + ["pruned"] * 3
    assert result.best is not None
    assert result.best.number == 0


def test_a_trial_that_diverges_counts_as_given_up_and_the_search_goes_on(tmp_path, monkeypatch):
    from glm_assets.heads import search as room

    def every_second(recipe, data, teacher, scratch, out, *, device, run, progress):
        number = int(scratch.name.removeprefix("trial_"))
        if number % 2 == 0:
            raise TrainingError("training diverged in epoch 1")
        scores = (number, number + 0.5, number - 3.0)  # the best epoch is not the last
        return type("Result", (), {"history": [{"validation": {"score": score}} for score in scores]})

    monkeypatch.setattr(room, "train_head", every_second)
    result = search(tmp_path, trials=4)
    assert [(trial.state, trial.score) for trial in result.trials] == [
        ("pruned", None), ("complete", 1.5), ("pruned", None), ("complete", 3.5),
    ]  # fmt: skip


def test_only_what_a_recipe_has_is_varied():
    drawn = {}
    for version in ("v0", "v1", "v2"):
        for name, recipes in RECIPES.items():
            trial = optuna.trial.FixedTrial(
                {
                    "learning_rate": 1e-3,
                    "weight_decay": 1e-2,
                    "dropout": 0.2,
                    "hidden_share": 0.5,
                    "pcc_factor": 2.0,
                    "cd_floor_factor": 3.0,
                }
            )
            changed = vary(recipes[version], trial)
            drawn[version, name] = set(trial.params)
            assert (changed.learning_rate, changed.weight_decay, changed.dropout) == (1e-3, 1e-2, 0.2)
            assert changed.shape.out_dim == recipes[version].shape.out_dim
            for phase, before in zip(changed.phases, recipes[version].phases, strict=True):
                assert (phase.pcc, phase.cd_floor) == (2 * before.pcc, 3 * before.cd_floor)
                assert (phase.cdd, phase.distil, phase.until) == (before.cdd, before.distil, before.until)
    assert "cd_floor_factor" not in drawn["v0", "faithful"]
    assert "hidden_share" in drawn["v1", "faithful"]
    assert "hidden_share" not in drawn["v2", "faithful"]  # its tensors are v1's
