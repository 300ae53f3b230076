"""Trainings that stop before their last epoch: because they are killed, or because they get no better."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from glm_assets.errors import CheckpointError, TrainingError
from glm_assets.training.checkpoints import CheckpointFolder, ranked
from glm_assets.training.early_stopping import EarlyStopping
from glm_assets.training.schedules import Schedule
from glm_assets.training.settings import LoopSettings
from glm_assets.training.states import load_weights
from glm_assets_tests.training.tasks import AdapterTask, Interrupted, RowsTask, StreamTask, fit_alone, stop_at_step

# 22 rows in micro-batches of 2, 3 of them a step: 11 batches, 4 steps, the last of two batches.
SETTINGS = LoopSettings(
    3, 0.05, schedule=Schedule("linear", 2), accumulation=3, checkpoint_every_steps=2, weight_decay=0.1
)


def products(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "resume.pt"}


def interrupt(monkeypatch, task: RowsTask, settings: LoopSettings, folder: Path, steps: int) -> None:
    def fail() -> None:
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", torch.optim.AdamW.step)  # put back afterwards
        stop_at_step(steps, fail)
        with pytest.raises(Interrupted):
            fit_alone(task, settings, folder)


@pytest.mark.parametrize("kind", [RowsTask, AdapterTask, StreamTask])
@pytest.mark.parametrize(("steps", "again"), [(1, 0), (3, 2), (4, 4), (5, 4), (7, 6), (11, 10)])
def test_a_training_goes_on_inside_an_epoch_as_if_it_had_not_stopped(tmp_path, monkeypatch, kind, steps, again):
    """After `steps` steps it goes on from step `again`; dropout and shuffling draw from the generator that is kept."""
    settings = replace(SETTINGS, schedule=Schedule()) if kind is StreamTask else SETTINGS
    whole = kind(dropout=0.3)
    history = fit_alone(whole, settings, tmp_path / "whole")

    interrupt(monkeypatch, kind(dropout=0.3), settings, tmp_path / "part", steps)
    torch.rand(100)  # whatever else the process draws must not matter
    task, lines = kind(dropout=0.3), []
    assert fit_alone(task, settings, tmp_path / "part", lines=lines) == history
    assert products(tmp_path / "part") == products(tmp_path / "whole")
    for name, value in whole.model.state_dict().items():
        assert torch.equal(task.model.state_dict()[name], value)
    read_again = 33 - again // 4 * 11 - (again % 4 * 3 if kind is not StreamTask else 0)
    assert len(task.read) == read_again
    assert (lines[0] == f"continuing after step {again % 4} of the epoch after epoch {again // 4} of 3") == (
        again % 4 > 0
    )


def test_a_part_lost_or_damaged_is_named(tmp_path, monkeypatch):
    interrupt(monkeypatch, RowsTask(), SETTINGS, tmp_path, 7)
    (part,) = tmp_path.glob("part_*.safetensors")
    assert part.name == "part_002_2.safetensors"
    part.unlink()
    with pytest.raises(CheckpointError, match=r"part_002_2\.safetensors is missing or damaged"):
        fit_alone(RowsTask(), SETTINGS, tmp_path)


def test_other_numbers_of_processes_do_not_go_on_within_an_epoch(tmp_path, monkeypatch):
    """Their steps would be of other sizes; from the end of an epoch they may."""
    folder = CheckpointFolder(tmp_path, key="k")
    interrupt(monkeypatch, RowsTask(), SETTINGS, tmp_path, 4)
    assert folder.read(2) is not None
    interrupt(monkeypatch, RowsTask(), SETTINGS, tmp_path, 3)  # of those that are left: in the second epoch
    assert folder.read(1) is not None
    with pytest.raises(CheckpointError, match=r"within epoch 2, and 2 processes .* Expected: 1, as before"):
        folder.read(2)


def test_nothing_of_parts_is_left_at_the_end(tmp_path):
    fit_alone(RowsTask(), SETTINGS, tmp_path, keep=1)
    assert len(list(tmp_path.glob("epoch_*"))) == 1
    assert not list(tmp_path.glob("part_*"))


def test_a_finished_training_whose_last_epoch_is_not_kept_is_not_repeated(tmp_path, monkeypatch):
    scores = iter([0.3, 0.9, 0.1])
    task = RowsTask()
    task.validate = lambda epoch: {"score": next(scores)}
    history = fit_alone(task, SETTINGS, tmp_path, keep=1)
    monkeypatch.delattr(torch.optim.AdamW, "step")
    assert fit_alone(RowsTask(), SETTINGS, tmp_path, keep=1) == history
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["epoch_002.safetensors"]


class ScriptedTask(RowsTask):
    """Has the scores that it is given."""

    def __init__(self, *scores: float) -> None:
        super().__init__()
        self.scores = scores
        self.weights: list[torch.Tensor] = []

    def validate(self, epoch: int) -> dict[str, float]:
        self.weights.append(self.model.head.weight.detach().clone())
        return {"score": self.scores[epoch - 1], "loss": 1.0}


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_ends_the_training(tmp_path, score):
    """By such a score any epoch would be as good as any other."""
    with pytest.raises(TrainingError, match=f"after epoch 2 has the score {score}"):
        fit_alone(ScriptedTask(0.1, score, 0.3), SETTINGS, tmp_path)
    assert len(CheckpointFolder(tmp_path, key="k").read().history) == 1


STOPPING = LoopSettings(9, 0.05, early_stopping=EarlyStopping(patience=2))


def test_it_stops_when_scores_grow_no_more_and_the_best_weights_are_there(tmp_path):
    task, lines = ScriptedTask(-0.5, 0.0, -0.1, 0.0, 0.7), []
    history = fit_alone(task, STOPPING, tmp_path, keep=1, lines=lines)
    assert [record.score for record in history] == [-0.5, 0.0, -0.1, 0.0]
    assert lines[-1] == "stopped early after epoch 4: none is better than epoch 2, score 0.0000"
    assert {path.name for path in tmp_path.iterdir()} == {"resume.pt", "epoch_002.safetensors"}
    load_weights(task, CheckpointFolder(tmp_path, key="k").weights(ranked(history)[0].epoch))
    assert torch.equal(task.model.head.weight, task.weights[1])
    assert not torch.equal(task.weights[1], task.weights[3])


def test_a_training_that_stopped_early_is_over(tmp_path, monkeypatch):
    history = fit_alone(ScriptedTask(0.5, 0.4, 0.3, 0.9), STOPPING, tmp_path)
    monkeypatch.delattr(torch.optim.AdamW, "step")
    assert fit_alone(ScriptedTask(), STOPPING, tmp_path) == history
    assert len(history) == 3


def test_a_kill_does_not_make_patience_begin_anew(tmp_path, monkeypatch):
    scores = (0.5, 0.4, 0.3, 0.9)
    interrupt(monkeypatch, ScriptedTask(*scores), STOPPING, tmp_path, 11 * 2 + 5)  # in the third epoch
    assert len(fit_alone(ScriptedTask(*scores), STOPPING, tmp_path)) == 3


def test_a_task_with_adapters_has_them_alone_kept(tmp_path):
    task = AdapterTask()
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    fit_alone(task, SETTINGS, tmp_path)
    for path in tmp_path.glob("*.safetensors"):
        assert load_file(path).keys() == {"head.weight", "head.bias"}

    fresh = AdapterTask()
    load_weights(fresh, tmp_path / "epoch_003.safetensors")
    assert torch.equal(fresh.model(fresh.x), task.model(task.x))
    assert not torch.equal(task.model.head.weight, before["head.weight"])
    assert torch.equal(task.model.state_dict()["blocks.0.linear.weight"], before["blocks.0.linear.weight"])


def test_weights_of_other_adapters_are_refused(tmp_path):
    fit_alone(RowsTask(), replace(SETTINGS, epochs=1), tmp_path)
    with pytest.raises(CheckpointError, match=r"do not fit.*blocks\.0\.linear\.bias"):
        load_weights(AdapterTask(), tmp_path / "epoch_001.safetensors")


def test_tied_weights_can_be_kept(tmp_path):
    task = RowsTask()
    task.model.blocks[1] = task.model.blocks[0]
    fit_alone(task, replace(SETTINGS, epochs=1), tmp_path)
    state = load_file(tmp_path / "epoch_001.safetensors")
    assert torch.equal(state["blocks.1.linear.weight"], state["blocks.0.linear.weight"])
    assert len(state) == 6


KILLED = """
import os, signal, sys
from pathlib import Path
from glm_assets_tests.training.tasks import RowsTask, fit_alone, stop_at_step
from glm_assets_tests.training.test_going_on import SETTINGS

if int(sys.argv[2]):
    stop_at_step(int(sys.argv[2]), lambda: os.kill(os.getpid(), signal.SIGKILL))
fit_alone(RowsTask(dropout=0.3), SETTINGS, Path(sys.argv[1]))
"""


@pytest.mark.system
def test_a_training_killed_with_sigkill_inside_an_epoch_ends_with_the_same_bytes(tmp_path):
    def run(folder: Path, steps: int) -> int:
        command = [sys.executable, "-c", KILLED, str(folder), str(steps)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.run(command, env=environment, check=False, timeout=120).returncode

    assert run(tmp_path / "killed", 7) == -signal.SIGKILL
    assert list((tmp_path / "killed").glob("part_002_2.safetensors"))
    assert run(tmp_path / "killed", 0) == 0
    assert run(tmp_path / "whole", 0) == 0
    assert products(tmp_path / "killed") == products(tmp_path / "whole")
