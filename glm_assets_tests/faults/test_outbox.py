"""What a training records while MLflow is away is kept, and reaches MLflow later: all of it, once, in order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glm_assets.errors import TrackingError
from glm_assets.tracking import MlflowTracker, Tracker, open_tracker
from glm_assets.tracking.mlflow import MlflowRun
from glm_assets.tracking.outbox import OUTBOX, Outbox
from glm_assets_tests.faults.senders import EPOCHS, die_recording, die_sending, record, status_of
from glm_assets_tests.faults.servers import MlflowServer, free_port
from glm_assets_tests.storage.stores import REPOSITORY

mlflow = pytest.importorskip("mlflow")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> str:
    """A database, whose tables take seconds to build; each test uses names of its own."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def away(tmp_path) -> Tracker:
    """A tracker whose server is not there."""
    return open_tracker(f"http://127.0.0.1:{free_port()}", "queue", tmp_path / OUTBOX)


def runs_named(uri: str, name: str) -> list:
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiment = client.get_experiment_by_name("glm_assets")
    return client.search_runs([experiment.experiment_id], f"attributes.run_name = '{name}'") if experiment else []


def assert_whole(uri: str, name: str, *, registered: bool = True, status: str = "FINISHED"):
    """MLflow has exactly one run of that name with all that `record` recorded, each epoch once, in order."""
    (run,) = runs_named(uri, name)
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    history = client.get_metric_history(run.info.run_id, "val/score")
    assert [(m.step, m.value) for m in history] == [(epoch, epoch / 10) for epoch in range(1, EPOCHS + 1)]
    assert sorted(m.timestamp for m in history) == [m.timestamp for m in history]
    assert run.info.status == status
    assert run.data.params == {"rate": "0.001", "teacher": "None"}
    assert run.data.metrics["soup/score"] == 3.5
    assert run.data.tags["parameters"] == "17"
    assert [one.dataset.name for one in run.inputs.dataset_inputs] == ["variant_embeddings/21"]
    assert [file.path for file in client.list_artifacts(run.info.run_id, "training")] == ["training/history.json"]
    versions = client.search_model_versions(f"name='{name}'")
    assert [version.run_id for version in versions] == [run.info.run_id] * registered
    return run


@pytest.mark.system
def test_without_a_server_a_training_goes_on_and_all_it_recorded_is_sent_later(away, database, tmp_path):
    begin = time.monotonic()
    with away.run("head_a", tags={"dagster/run_id": "abc"}, resume_file=tmp_path / "work" / "run.json") as run:
        assert record(run, tmp_path / "work", name="head_a") is None
        waits = run.settle()
        assert (run.run_id, run.url) == (None, None)
    assert time.monotonic() - begin < 20
    outbox = Outbox(tmp_path / OUTBOX)
    (entry,) = outbox.waiting()
    assert entry in waits
    assert "glm-assets send-tracking" in waits
    (tmp_path / "work" / "model.safetensors").unlink()  # the work folder goes when a head is published

    (sent,) = outbox.send(MlflowTracker(database))
    assert (sent.problem, sent.registered) == (None, {"head_a": "1"})
    stored = assert_whole(database, "head_a")
    assert stored.data.tags["dagster/run_id"] == "abc"
    assert stored.info.end_time - stored.info.start_time < 60_000
    assert outbox.waiting() == []
    assert outbox.send(MlflowTracker(database)) == []


@pytest.mark.system
def test_the_next_tracked_run_sends_what_waits(away, database, tmp_path):
    for name in ("head_b", "head_c"):
        with away.run(name, tags={}, resume_file=tmp_path / name / "run.json") as run:
            record(run, tmp_path / name, name="crowned")
    with open_tracker(database, "queue", tmp_path / OUTBOX).run(
        "head_d", tags={}, resume_file=tmp_path / "d"
    ) as run:
        assert run.settle() is None
        versions = MlflowTracker(database).registry.versions("crowned")
    named = {runs_named(database, name)[0].info.run_id: name for name in ("head_b", "head_c")}
    assert [named[version.run_id] for version in versions] == [
        "head_b",
        "head_c",
    ]  # in the order of their trainings
    assert Outbox(tmp_path / OUTBOX).waiting() == []


@pytest.mark.system
def test_a_failed_training_is_sent_as_failed(away, database, tmp_path):
    def fail() -> None:
        with away.run("head_e", tags={}, resume_file=tmp_path / "run.json") as run:
            run.log_epoch(1, {"val/score": 0.1})
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    Outbox(tmp_path / OUTBOX).send(MlflowTracker(database))
    (run,) = runs_named(database, "head_e")
    assert run.info.status == "FAILED"


@pytest.mark.system
def test_a_training_killed_while_it_is_queued_goes_on_in_the_same_run(away, database, tmp_path):
    work, outbox = tmp_path / "work", Outbox(tmp_path / OUTBOX)
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert status_of(die_recording, outbox.folder, nowhere, work, "head_f") == -signal.SIGKILL
    (entry,) = outbox.waiting()
    calls = outbox.folder / entry / "calls.jsonl"
    calls.write_bytes(calls.read_bytes() + b'{"call": "log_ep')  # torn by the kill

    with away.run("head_f", tags={}, resume_file=work / "run.json") as again:
        assert outbox.send(MlflowTracker(database)) == []  # it lasts, and nobody else may send it
        record(again, work, name="head_f")
    assert outbox.waiting() == [entry]
    outbox.send(MlflowTracker(database))
    assert_whole(database, "head_f")


@pytest.mark.system
def test_a_training_whose_first_part_was_sent_goes_on_in_that_run(away, database, tmp_path):
    work, outbox = tmp_path / "work", Outbox(tmp_path / OUTBOX)
    status_of(die_recording, outbox.folder, f"http://127.0.0.1:{free_port()}", work, "head_g")
    outbox.send(MlflowTracker(database))
    (begun,) = runs_named(database, "head_g")
    assert (begun.info.status, outbox.waiting()) == ("RUNNING", [])
    with away.run("head_g", tags={}, resume_file=work / "run.json") as again:
        record(again, work, name="head_g")
    outbox.send(MlflowTracker(database))
    assert assert_whole(database, "head_g").info.run_id == begun.info.run_id


@pytest.mark.system
def test_a_call_that_fails_on_the_way_is_queued_with_all_that_follow(database, tmp_path, monkeypatch):
    flush = MlflowRun.flush

    def lost(self):
        raise TrackingError("the line is cut")

    with open_tracker(database, "queue", tmp_path / OUTBOX).run(
        "head_h", tags={}, resume_file=tmp_path / "work" / "run.json"
    ) as run:
        with monkeypatch.context() as patch:
            patch.setattr(MlflowRun, "flush", lost)
            patch.setattr(MlflowRun, "log_params", lambda self, params: lost(self))
            record(run, tmp_path / "work", epochs=range(1, 4))
        assert MlflowRun.flush is flush
        record(run, tmp_path / "work", epochs=range(4, EPOCHS + 1), name="head_h")  # its model makes it try again
        assert run.settle() is None
    assert_whole(database, "head_h")
    assert Outbox(tmp_path / OUTBOX).waiting() == []


def test_where_tracking_is_required_a_training_does_not_start(tmp_path):
    required = open_tracker(f"http://127.0.0.1:{free_port()}", "require", tmp_path / OUTBOX)
    begin = time.monotonic()
    with (
        pytest.raises(TrackingError, match=r"failed: no answer.*start or mend that server.*GLM_TRACKING=queue"),
        required.run("head_i", tags={}, resume_file=tmp_path / "run.json"),
    ):
        pytest.fail("it has started")
    assert time.monotonic() - begin < 10
    assert list(tmp_path.iterdir()) == []


@pytest.mark.system
def test_a_server_that_takes_connections_and_says_nothing_costs_seconds(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        tracker = open_tracker(f"http://127.0.0.1:{deaf.getsockname()[1]}", "queue", tmp_path / OUTBOX)
        begin = time.monotonic()
        with tracker.run("head_j", tags={}, resume_file=tmp_path / "run.json") as run:
            record(run, tmp_path / "work", name="head_j")
        for _ in range(4):
            with pytest.raises(TrackingError):
                tracker.registry.versions("head_j")
        assert time.monotonic() - begin < 25
    assert len(Outbox(tmp_path / OUTBOX).waiting()) == 1


@pytest.mark.system
def test_a_sending_that_is_killed_anywhere_is_repeated_without_a_trace(away, database, tmp_path):
    with away.run("head_k", tags={}, resume_file=tmp_path / "work" / "run.json") as run:
        record(run, tmp_path / "work", name="head_k")
    for fatal in (
        "create_run",
        "log_inputs",
        "log_batch",
        "log_artifact",
        "create_model_version",
        "set_terminated",
    ):
        assert status_of(die_sending, tmp_path / OUTBOX, database, fatal) == -signal.SIGKILL
    Outbox(tmp_path / OUTBOX).send(MlflowTracker(database))
    assert_whole(database, "head_k")
    assert Outbox(tmp_path / OUTBOX).waiting() == []


@pytest.fixture
def server(tmp_path):
    server = MlflowServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.mark.system
def test_a_server_that_dies_in_mid_training_gets_the_rest_when_it_is_back(server, tmp_path):
    tracker = open_tracker(server.uri, "queue", tmp_path / OUTBOX)
    begin = time.monotonic()
    with tracker.run("head_l", tags={}, resume_file=tmp_path / "work" / "run.json") as run:
        record(run, tmp_path / "work", epochs=range(1, 4))
        assert run.settle() is None
        server.stop()
        stopped = time.monotonic()
        assert record(run, tmp_path / "work", name="head_l") is None
        assert "queued in" in run.settle()
    assert time.monotonic() - stopped < 40
    assert time.monotonic() - begin < 60
    environment = os.environ | {"GLM_DATA_ROOT": str(tmp_path), "MLFLOW_TRACKING_URI": server.uri}
    send = [Path(sys.executable).with_name("glm-assets"), "send-tracking"]
    away = subprocess.run(send, env=environment, cwd=REPOSITORY, check=False, capture_output=True, text=True)
    assert away.returncode == 1
    assert "waits: tracking at" in away.stdout
    server.start()
    back = subprocess.run(send, env=environment, cwd=REPOSITORY, check=False, capture_output=True, text=True)
    assert back.returncode == 0, back.stderr
    assert f"sent: {server.uri}/#/experiments/" in back.stdout
    assert "glm-assets champion head_l --version 1" in back.stdout
    assert_whole(server.uri, "head_l")
