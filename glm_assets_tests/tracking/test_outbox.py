"""The outbox where runs meet, lines are torn and files are gone; what reaches a real MLflow is in `faults`."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from glm_assets.errors import TrackingError
from glm_assets.tracking import MlflowTracker, ModelCard
from glm_assets.tracking.outbox import Entry, Outbox
from glm_assets.tracking.queueing import QueueingTracker
from glm_assets_tests.tracking.stores import CARD


class Server:
    """Stands for an MLflow server: takes what is recorded while it is up, and numbers models."""

    def __init__(self) -> None:
        self.up = True
        self.epochs: dict[str, list[int]] = {}
        self.versions: dict[str, str] = {}  # run to version

    def look(self) -> None:
        if not self.up:
            raise TrackingError("no answer")

    def open_run(self, name: str, *, tags: Mapping[str, str], resume_file: Path, start_ms: int) -> Run:
        self.look()
        resume_file.write_text("{}")
        return Run(self, name)


class Run:
    """A run on it."""

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.run_id, self.url = server, name, f"http://server/{name}"
        self.registered_version: str | None = None

    def log_epoch(self, epoch: int, metrics: Mapping[str, float], at_ms: int) -> None:
        self.server.look()
        seen = self.server.epochs.setdefault(self.run_id, [])
        seen += [epoch] if epoch not in seen else []

    def log_artifact(self, path: Path, folder: str | None) -> None:
        path.read_bytes()

    def register_model(self, name: str, files: Sequence[Path], card: ModelCard) -> str:
        self.server.look()
        self.registered_version = self.server.versions.setdefault(self.run_id, str(len(self.server.versions) + 1))
        return self.registered_version

    def flush(self) -> None:
        self.server.look()

    def end(self, status: str, at_ms: int | None = None) -> None:
        self.server.look()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def mlflow(server) -> MlflowTracker:
    return cast("MlflowTracker", server)


@pytest.fixture
def outbox(tmp_path) -> Outbox:
    return Outbox(tmp_path / "outbox")


@pytest.fixture
def tracker(mlflow, outbox) -> QueueingTracker:
    return QueueingTracker(mlflow, outbox)


def train(tracker: QueueingTracker, work: Path, name: str, *, model: bool = False) -> None:
    work.mkdir(exist_ok=True)
    with tracker.run(name, tags={}, resume_file=work / f"{name}.json") as run:
        run.log_epoch(1, {"val/score": 0.1})
        if model:
            run.register_model(name, [], CARD)


def queue(server: Server, tracker: QueueingTracker, work: Path, *names: str, **options: Any) -> None:
    """Trainings while the server is away."""
    server.up = False
    for name in names:
        train(tracker, work, name, **options)
    server.up = True


def test_a_line_torn_in_the_middle_costs_that_call_alone(server, mlflow, outbox, tmp_path, caplog):
    """The disk was full for one call and had room for the next."""
    with outbox.entry("head_v0", {}, tmp_path / "run.json") as entry:
        entry.append("log_epoch", {"epoch": 1, "metrics": {"a": 1.0}})
        with (entry.folder / "calls.jsonl").open("ab") as stream:
            stream.write(b'{"call": "log_ep')
        entry.append("log_epoch", {"epoch": 3, "metrics": {"a": 1.0}})
        entry.append("end", {"status": "FINISHED"})
    (sent,) = outbox.send(mlflow)
    assert (sent.problem, server.epochs) == (None, {"head_v0": [1, 3]})
    assert "1 torn lines" in caplog.text


def test_two_that_remove_the_same_entry_do_not_disturb_each_other(tracker, mlflow, outbox, tmp_path, monkeypatch):
    """The run that ends, and another's sending, which is only after the name it has by then."""
    remove = shutil.rmtree

    def late(path, *arguments, **options):
        remove(path, ignore_errors=True)
        remove(path, *arguments, **options)

    monkeypatch.setattr("glm_assets.tracking.outbox.shutil.rmtree", late)
    train(tracker, tmp_path / "work", "head_v0")
    (outbox.folder / ".sent-half").mkdir()
    assert outbox.send(mlflow) == []
    assert not (outbox.folder / ".sent-half").exists()


def test_nothing_is_left_of_runs_that_are_recorded(server, tracker, outbox, tmp_path):
    queue(server, tracker, tmp_path / "work", "head_v0", "head_v1")
    train(tracker, tmp_path / "work", "head_v2")
    assert [path.name for path in outbox.folder.iterdir()] == [".sending.lock"]


@pytest.mark.parametrize("damage", ["entry.json", "file"])
def test_an_entry_that_cannot_be_sent_is_told_and_stops_nobody(server, tracker, mlflow, outbox, tmp_path, damage):
    queue(server, tracker, tmp_path / "work", "head_v0", "head_v1")
    first, _ = outbox.waiting()
    if damage == "file":
        Entry(outbox.folder / first).append("log_artifact", {"file": "files/gone", "folder": None})
    else:
        (outbox.folder / first / "entry.json").write_text("{")
    train(tracker, tmp_path / "work", "head_v2")  # sends what waits
    assert (outbox.waiting(), sorted(server.epochs)[-2:]) == ([first], ["head_v1", "head_v2"])
    (told,) = outbox.send(mlflow)
    assert told.entry == first
    assert told.problem


def test_the_run_that_sends_others_tells_their_versions_and_problems(server, tracker, outbox, tmp_path, caplog):
    queue(server, tracker, tmp_path / "work", "head_v0", "head_v1", model=True)
    (outbox.folder / outbox.waiting()[1] / "entry.json").write_text("{")
    with caplog.at_level(logging.WARNING):
        train(tracker, tmp_path / "work", "head_v2")
    assert "to make it champion: glm-assets champion head_v0 --version 1" in caplog.text
    assert f"{outbox.waiting()[0]} waits: " in caplog.text


def test_a_model_registered_when_the_server_is_back_has_its_version(server, tracker, tmp_path):
    with tracker.run("head_v0", tags={}, resume_file=tmp_path / "run.json") as run:
        assert run.registered_version is None
        server.up = False
        assert run.register_model("head_v0", [], CARD) is None
        assert (run.settle() is None, run.registered_version) == (False, None)
        server.up = True
        assert (run.settle(), run.registered_version) == (None, "1")
    assert server.versions == {"head_v0": "1"}


def test_a_version_outlives_the_connection_that_made_it(server, tracker, tmp_path):
    with tracker.run("head_v0", tags={}, resume_file=tmp_path / "run.json") as run:
        assert run.register_model("head_v0", [], CARD) == "1"
        server.up = False
        assert run.settle() is not None
        server.up = True
        assert (run.settle(), run.registered_version) == (None, "1")
