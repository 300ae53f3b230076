from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from glm_assets.errors import TrackingError
from glm_assets.tracking import MlflowTracker, ModelCard, NullTracker, TrackedRun, Tracker

mlflow = pytest.importorskip("mlflow")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

CARD = ModelCard("head", 4, 2, "some.module", ("numpy",))


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """A folder for one database, whose tables take seconds to build."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture
def tracker(store) -> MlflowTracker:
    return MlflowTracker(f"sqlite:///{store / 'db' / 'mlflow.db'}", experiment="heads")


def client_of(tracker: MlflowTracker):
    return mlflow.MlflowClient(tracking_uri=tracker.uri, registry_uri=tracker.uri)


def steps(client, run_id: str, key: str) -> list[tuple[int, float]]:
    return [(metric.step, metric.value) for metric in client.get_metric_history(run_id, key)]


def test_a_run_holds_all_that_was_recorded(tracker, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "model.safetensors"
    model.write_bytes(bytes(range(256)))
    (tmp_path / "meta.json").write_text("{}")
    with tracker.run("head_v0", tags={"dagster/run_id": "abc"}, resume_file=tmp_path / "run.json") as run:
        run.log_params({"shape.hidden": 32, "teacher": None, "rate": 1e-3})
        for epoch in range(1, 31):
            run.log_epoch(epoch, {"val/score": epoch / 10, "train/loss": 1 / epoch})
        run.log_metrics({"soup/score": 3.5})
        run.set_tags({"parameters": "17"})
        run.log_inputs({"variant_embeddings/21": "f" * 64, "head_v0": "a" * 32})
        run.log_artifact(tmp_path / "meta.json", "training")
        run.log_inputs({"sealed_test": "e" * 64}, context="evaluation")
        version = run.register_model("head_v0", [model, tmp_path / "meta.json"], CARD)
        assert run.register_model("head_v0", [model], CARD) == version

    client = client_of(tracker)
    stored = client.get_run(run.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.info.run_name == "head_v0"
    assert stored.data.params == {"shape.hidden": "32", "teacher": "None", "rate": "0.001"}
    assert steps(client, run.run_id, "val/score") == [(epoch, epoch / 10) for epoch in range(1, 31)]
    assert stored.data.metrics["soup/score"] == 3.5
    assert stored.data.tags["dagster/run_id"] == "abc"
    assert stored.data.tags["parameters"] == "17"
    assert not [key for key in stored.data.metrics if key.startswith("system/")]
    inputs = {item.dataset.name: item.dataset for item in stored.inputs.dataset_inputs}
    contexts = {item.dataset.name: [tag.value for tag in item.tags] for item in stored.inputs.dataset_inputs}
    assert contexts == {
        "variant_embeddings/21": ["training"],
        "head_v0": ["training"],
        "sealed_test": ["evaluation"],
    }
    assert inputs["variant_embeddings/21"].digest == "f" * 36
    assert json.loads(inputs["variant_embeddings/21"].source) == {"data_version": "f" * 64}

    assert run.url == f"http://127.0.0.1:5000/#/experiments/{stored.info.experiment_id}/runs/{run.run_id}"
    assert [v.version for v in client.search_model_versions("name='head_v0'")] == [int(version)]
    source = client.get_model_version_download_uri("head_v0", version)
    downloaded = Path(mlflow.artifacts.download_artifacts(source))
    assert (downloaded / "model.safetensors").read_bytes() == model.read_bytes()
    assert {path.name for path in downloaded.iterdir()} == {
        "model.safetensors",
        "meta.json",
        "MLmodel",
        "requirements.txt",
        "python_env.yaml",
    }
    assert (store / "db" / "artifacts" / run.run_id / "artifacts" / "training" / "meta.json").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "meta.json", "run.json"}


def test_a_killed_run_is_reopened_and_nothing_is_recorded_twice(tracker, tmp_path):
    resume_file = tmp_path / "run.json"
    abandoned = tracker.run("head_v1", tags={"dagster/run_id": "first"}, resume_file=resume_file)
    run = abandoned.__enter__()  # never left, as by kill -9
    run.log_params({"device": "cpu"})
    run.log_epoch(1, {"val/score": 0.1})
    run.log_epoch(2, {"val/score": 0.2})
    run.flush()
    run.log_epoch(3, {"val/score": 0.3})  # recorded but not sent
    client = client_of(tracker)
    assert client.get_run(run.run_id).info.status == "RUNNING"

    with tracker.run("head_v1", tags={"dagster/run_id": "second"}, resume_file=resume_file) as again:
        assert again.run_id == run.run_id
        again.log_params({"device": "cuda:0", "rows": 5})
        for epoch in range(1, 6):
            again.log_epoch(epoch, {"val/score": epoch / 10})
    stored = client.get_run(run.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.data.tags["dagster/run_id"] == "second"
    assert stored.data.params == {"device": "cpu", "rows": "5"}
    assert steps(client, run.run_id, "val/score") == [(epoch, epoch / 10) for epoch in range(1, 6)]


def test_an_error_marks_the_run_as_failed_and_passes_through(tracker, tmp_path):
    resume_file = tmp_path / "run.json"

    def fail() -> None:
        with tracker.run("head_v2", tags={}, resume_file=resume_file) as run:
            run.log_epoch(1, {"val/score": 0.5})
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    client = client_of(tracker)
    run_id = json.loads(resume_file.read_text())["run_id"]
    assert client.get_run(run_id).info.status == "FAILED"
    assert steps(client, run_id, "val/score") == [(1, 0.5)]
    with tracker.run("head_v2", tags={}, resume_file=resume_file) as again:
        assert again.run_id == run_id
    assert client.get_run(run_id).info.status == "FINISHED"


@pytest.mark.parametrize("fate", ["deleted", "unknown", "elsewhere"])
def test_a_run_that_is_gone_is_replaced(tracker, tmp_path, fate):
    resume_file = tmp_path / "run.json"
    with tracker.run("head_v3", tags={}, resume_file=resume_file) as first:
        pass
    if fate == "deleted":
        client_of(tracker).delete_run(first.run_id)
    if fate == "unknown":
        resume_file.write_text(json.dumps({"run_id": "0" * 32, "uri": tracker.uri}))
    if fate == "elsewhere":
        resume_file.write_text(json.dumps({"run_id": first.run_id, "uri": "http://somewhere.else:5000"}))
    with tracker.run("head_v3", tags={}, resume_file=resume_file) as second:
        assert second.run_id != first.run_id
    assert json.loads(resume_file.read_text())["run_id"] == second.run_id


@pytest.mark.parametrize("uri", ["mlruns", "file:///some/mlruns", "ftp://host/x", ""])
def test_a_file_store_is_refused_with_a_fix(uri):
    with pytest.raises(TrackingError, match=r"file store.*sqlite:///<file>"):
        MlflowTracker(uri)


def test_a_server_that_does_not_answer_is_named(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    caplog.set_level(logging.CRITICAL)
    tracker = MlflowTracker("http://127.0.0.1:9")
    with (
        pytest.raises(TrackingError, match=r"http://127\.0\.0\.1:9 failed.*MLFLOW_TRACKING_URI"),
        tracker.run("head_v0", tags={}, resume_file=tmp_path / "run.json"),
    ):
        pass
    assert not (tmp_path / "run.json").exists()


FIRST_USE = """
import sys
from pathlib import Path
from glm_assets.tracking import MlflowTracker

folder, number = Path(sys.argv[1]), sys.argv[2]
tracker = MlflowTracker(f"sqlite:///{folder / 'mlflow.db'}")
with tracker.run("run" + number, tags={}, resume_file=folder / number) as run:
    run.log_epoch(1, {"val/score": float(number)})
"""


@pytest.mark.system
def test_processes_that_meet_on_a_fresh_database_all_get_their_run(tmp_path):
    children = [
        subprocess.Popen([sys.executable, "-c", FIRST_USE, str(tmp_path), str(number)], stderr=subprocess.PIPE)
        for number in range(4)
    ]
    assert [(child.communicate(timeout=120)[1], child.returncode)[1] for child in children] == [0] * 4
    client = client_of(MlflowTracker(f"sqlite:///{tmp_path / 'mlflow.db'}"))
    experiment = client.get_experiment_by_name("glm_assets")
    assert len(client.search_runs([experiment.experiment_id])) == 4


def test_trackers_follow_the_protocol(tracker, tmp_path):
    trackers: list[Tracker] = [tracker, NullTracker()]
    for each in trackers:
        with each.run("head_v0", tags={}, resume_file=tmp_path / type(each).__name__) as run:
            followed: TrackedRun = run
            followed.log_params({"a": 1})
            followed.log_epoch(1, {"val/score": 1.0})
            followed.log_metrics({"soup/score": 1.0})
            followed.set_tags({"b": "2"})
            followed.log_inputs({"c": "3"})
    assert run.run_id is None
    assert run.url is None
    assert run.register_model("head_v0", [], CARD) is None
