"""Several processes train as one does with larger batches, and end together."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from glm_assets.errors import TrainingError
from glm_assets.training.batches import Planned, shares
from glm_assets.training.distributed import ALONE, Ranks, join
from glm_assets.training.launch import launch
from glm_assets.training.states import optimizer_state, task_state, whole
from glm_assets_tests.training.tasks import train

TASKS = "glm_assets_tests.training.tasks"


def in_processes(function: str, job: dict, processes: int = 2, lines: list[str] | None = None):
    return launch(f"{TASKS}:{function}", job, processes, progress=(lines if lines is not None else []).append)


def alone(job: dict) -> dict:
    return train(job, ALONE, lambda line: None)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_shares_cover_every_batch_once_and_keep_step():
    batches = Planned(range(7), lambda number: number)
    for size in (1, 2, 3, 4, 9):
        taken = [list(shares(batches, Ranks(rank, size), 0)) for rank in range(size)]
        assert len({len(share) for share in taken}) == 1
        assert sorted(item.batch for share in taken for item in share if item.counts) == list(range(7))
    rest = [item.batch for rank in range(2) for item in shares(batches, Ranks(rank, 2), 4) if item.counts]
    assert sorted(rest) == [4, 5, 6]


def test_processes_wait_for_a_long_write_of_the_first(monkeypatch):
    """torch itself gives up after 10 minutes, in which no full checkpoint of a model of 7 billion is written."""
    told = {}
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda *_, **options: told.update(options))
    join(0, 2, "gloo", "rendezvous")
    assert told["timeout"].total_seconds() > 3600


def test_whole_tensors_of_a_sharded_model_do_not_stay_on_its_device():
    class Part:
        """A sharded tensor, and the whole one on the device."""

        def full_tensor(self):
            return self

        def cpu(self):
            return "on the CPU"

    assert whole(Part()) == "on the CPU"
    assert whole(Part(), keep=False) is None


def test_a_process_that_does_not_write_holds_no_copy_of_the_state():
    """It takes part in gathering each tensor, one after the other."""
    asked = []

    class Part:
        def __init__(self, name):
            self.name = name

        def full_tensor(self):
            asked.append(self.name)
            return torch.zeros(2)

    class Sharded:
        model = torch.nn.Linear(1, 1)

        def state(self):
            return {"a": Part("a"), "b": Part("b")}

        def load_state(self, state):
            pass

    assert task_state(Sharded(), keep=False) == {}
    assert asked == ["a", "b"]
    optimizer = torch.optim.AdamW(Sharded.model.parameters())
    Sharded.model(torch.ones(1, 1)).sum().backward()
    optimizer.step()
    optimizer.state_dict = lambda: {"state": {0: {"exp_avg": Part("moment")}}, "param_groups": []}
    assert optimizer_state(optimizer, keep=False) == {"state": {0: {}}, "param_groups": []}
    assert asked == ["a", "b", "moment"]
    assert optimizer_state(optimizer)["state"][0]["exp_avg"].tolist() == [0, 0]


def test_processes_do_not_share_a_stream():
    with pytest.raises(TrainingError, match="2 processes cannot share list"):
        shares([1, 2], Ranks(0, 2), 0)


def test_one_process_answers_itself():
    assert ALONE.total(torch.tensor(2.0)) == 2
    assert ALONE.gather(np.arange(3)).tolist() == [0, 1, 2]
    assert ALONE.first("x") == "x"
    assert [Ranks(rank, 3).share(7) for rank in range(3)] == [slice(0, 2), slice(2, 4), slice(4, 7)]


@pytest.mark.system
def test_a_process_that_fails_ends_all_of_them_at_once(tmp_path):
    started = time.monotonic()
    with pytest.raises(
        TrainingError, match=r"(?s)2 processes.*rank 1 failed.*the reads have run out\. Fix: get more"
    ):
        in_processes("fail", {"folder": str(tmp_path), "how": "error"})
    assert time.monotonic() - started < 30
    pids = [int(path.read_text()) for path in tmp_path.glob("*.pid")]
    assert len(pids) == 2
    assert not any(map(is_alive, pids))


def settled(folder: Path, size: int, accumulation: int, **more) -> dict:
    """A job of 22 rows in steps of 8, so that the last step of an epoch has 6, in an order that all trainings have."""
    settings = {"accumulation": accumulation, "min_learning_rate": 0.0}
    return {"folder": str(folder), "options": {"size": size, "seed": 7}, "settings": settings} | more


def assert_same(found: dict, expected: dict) -> None:
    for name in ("losses", "scores", "rates"):
        assert found[name] == pytest.approx(expected[name], rel=1e-5)
    (want,) = expected["parameters"]
    for parameters in found["parameters"]:
        np.testing.assert_allclose(parameters, want, rtol=1e-4, atol=1e-6)
        assert parameters == found["parameters"][0]


@pytest.mark.system
def test_two_processes_train_as_one_does_with_batches_twice_as_large(tmp_path):
    together = in_processes("train", settled(tmp_path / "two", size=4, accumulation=1))
    assert len(together["parameters"]) == 2
    assert_same(together, alone(settled(tmp_path / "one", size=8, accumulation=1)))
    assert together["read"] == 3 * 3


@pytest.mark.system
@pytest.mark.parametrize("task", ["whole", "adapter"])
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_processes_that_accumulate_uneven_batches_train_as_one_does(tmp_path, strategy, task):
    """11 micro-batches of 2 rows for 2 processes, 2 each a step."""
    job = settled(tmp_path / "two", size=2, accumulation=2, strategy=strategy, task=task)
    assert_same(in_processes("train", job), alone(settled(tmp_path / "one", size=8, accumulation=1, task=task)))


@pytest.mark.system
@pytest.mark.parametrize(("strategy", "killed"), [("ddp", 1), ("fsdp", 0)])
def test_processes_that_are_killed_go_on_as_if_they_had_not_been(tmp_path, strategy, killed):
    """With dropout, which each process draws on its own, and rows in an order that they draw together."""
    job = {
        "options": {"size": 2, "dropout": 0.3},
        "settings": {"checkpoint_every_steps": 2},
        "strategy": strategy,
    }
    kill = {"kill": {"rank": killed, "steps": 9}}  # of 6 an epoch: one step after a part of the second is kept
    with pytest.raises(TrainingError, match=rf"rank {killed} was ended by SIGKILL"):
        in_processes("train", job | kill | {"folder": str(tmp_path / "killed")})
    assert {path.name for path in (tmp_path / "killed").glob("part_*")} == {"part_002_2.safetensors"}
    lines: list[str] = []
    resumed = in_processes("train", job | {"folder": str(tmp_path / "killed")}, 2, lines)
    whole = in_processes("train", job | {"folder": str(tmp_path / "whole")})
    assert lines[0] == "continuing after step 2 of the epoch after epoch 1 of 3"
    assert resumed.pop("read") < whole.pop("read")
    assert resumed == whole
    for file in (tmp_path / "whole").glob("*.safetensors"):
        assert file.read_bytes() == (tmp_path / "killed" / file.name).read_bytes()


@pytest.mark.system
@pytest.mark.parametrize(
    ("how", "words"), [("bug", "KeyError: 'no such thing'"), ("kill", "SIGKILL"), ("deaf", "SIGKILL")]
)
def test_whatever_way_a_process_ends(tmp_path, how, words):
    with pytest.raises(TrainingError, match=rf"(?s)rank 2 .*{words}"):
        in_processes("fail", {"folder": str(tmp_path), "how": how}, processes=3)
    assert not any(is_alive(int(path.read_text())) for path in tmp_path.glob("*.pid"))


@pytest.mark.system
def test_processes_end_with_the_one_that_started_them(tmp_path):
    code = (
        "import sys\nfrom glm_assets.training.launch import launch\n"
        f"launch('{TASKS}:fail', {{'folder': sys.argv[1], 'how': 'sleep'}}, 2, progress=print)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    pids = [int(path.read_text()) for path in tmp_path.glob("*.pid")]
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(pids) == 2
    assert not any(map(is_alive, pids))


@pytest.mark.system
def test_what_processes_tell_each_other():
    lines: list[str] = []
    assert in_processes("report", {}, 3, lines) == {
        "total": 3,
        "gathered": [0, 10, 20, 30, 40, 50, 60],
        "pairs": [3, 2],
        "first": {"rank": 0},
    }
    assert lines == ["rank 0 of 3"]
