"""A training that was killed ends with the same bytes as one that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from glm_assets.errors import CheckpointError
from glm_assets.heads import memory
from glm_assets.heads.recipes import RECIPES
from glm_assets.heads.train import train_head
from glm_assets.tracking import NullRun
from glm_assets_tests.heads.planted import open_data, planted_data, stored
from glm_assets_tests.heads.test_train import small_recipe

EPOCHS = 5


def train(out: Path, seed: int = 0, name: str = "faithful") -> None:
    """Train v0; by the open recipe with grouped batches, ladders and pairs that are read from a store."""
    recipe = replace(RECIPES[name]["v0"], shape=small_recipe("v0").shape)
    data = planted_data(seed=seed)
    if name == "open":
        data = stored(open_data(seed=seed), out / ".work" / "store")
        memory.free_memory = lambda device: (
            0
        )  # whoever trains on a store too large for its memory has a process for it
    train_head(
        replace(recipe.scaled(epochs=EPOCHS, batch_size=64), learning_rate=3e-3),
        data,
        None,
        out / ".work",
        out,
        device="cpu",
        run=NullRun(),
        progress=lambda line: None,
    )


def products(out: Path) -> dict[str, bytes]:
    """Everything a training leaves but the resume file, whose bytes are not content."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name != "resume.pt" and "store" not in path.parts
    }


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("uninterrupted")
    train(out)
    return products(out)


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("steps", [1, 4, 7, 14])
def test_an_interrupted_training_goes_on_where_it_stopped(tmp_path, monkeypatch, uninterrupted, steps):
    step, done = torch.optim.AdamW.step, []

    def failing_step(self, *args, **kwargs):
        if len(done) == steps:
            raise Interrupted
        done.append(1)
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", failing_step)
    with pytest.raises(Interrupted):
        train(tmp_path)
    monkeypatch.undo()
    torch.rand(100)  # whatever else the process draws must not matter
    train(tmp_path)
    assert products(tmp_path) == uninterrupted


def test_a_finished_training_is_not_repeated(tmp_path, monkeypatch, uninterrupted):
    train(tmp_path)
    monkeypatch.delattr(torch.optim.AdamW, "step")
    train(tmp_path)
    assert products(tmp_path) == uninterrupted


def test_another_training_does_not_go_on_from_these_checkpoints(tmp_path):
    train(tmp_path)
    with pytest.raises(CheckpointError, match=r"\.work.*another recipe, data or teacher"):
        train(tmp_path, seed=1)


def test_a_damaged_resume_file_is_named(tmp_path):
    train(tmp_path)
    resume = tmp_path / ".work" / "resume.pt"
    resume.write_bytes(resume.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"resume\.pt is damaged"):
        train(tmp_path)


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from glm_assets_tests.heads.test_resume import train

calls = 0

def kill_at(owner, name, count):
    original = getattr(owner, name)

    def wrapped(*args, **kwargs):
        global calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(owner, name, wrapped)

out, where, count, name = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
if where == "step":
    kill_at(torch.optim.AdamW, "step", count)
if where == "replace":
    kill_at(Path, "replace", count)
train(out, name=name)
"""


def run_child(out: Path, where: str, count: int, name: str) -> int:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-c", KILLED, str(out), where, str(count), name]
    return subprocess.run(command, env=environment, check=False, timeout=120).returncode


@pytest.mark.system
@pytest.mark.parametrize(
    ("where", "count", "name"),
    [
        ("step", 8, "faithful"),  # inside an epoch
        ("replace", 3, "faithful"),  # before its weights
        ("replace", 4, "faithful"),  # before it is committed
        ("step", 9, "open"),  # inside the second epoch, in which ladders train too
        ("step", 22, "open"),
    ],
)
def test_a_training_killed_with_sigkill_ends_with_the_same_bytes(tmp_path, where, count, name):
    assert run_child(tmp_path / "killed", where, count, name) == -signal.SIGKILL
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    assert list((tmp_path / "killed" / ".work").glob("epoch_*.safetensors"))
    assert run_child(tmp_path / "killed", "nowhere", 0, name) == 0
    assert run_child(tmp_path / "whole", "nowhere", 0, name) == 0
    assert products(tmp_path / "killed") == products(tmp_path / "whole")
