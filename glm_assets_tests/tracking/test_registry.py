"""Versions, aliases and files of registered models, in a database and on a server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest

from glm_assets.errors import IntegrityError, TrackingError
from glm_assets.tracking import MlflowTracker, ModelVersion, NullTracker, Registry
from glm_assets_tests.checkouts import wait_until
from glm_assets_tests.tracking.stores import artifacts_of, register

mlflow = pytest.importorskip("mlflow")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def tracker(tmp_path_factory) -> MlflowTracker:
    """One database, whose tables take seconds to build; each test uses a name of its own."""
    return MlflowTracker(f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}")


def walk_through(tracker: MlflowTracker, folder: Path) -> None:
    """Register, find, fetch and crown: what a database and a server must both do."""
    registry: Registry = tracker.registry
    assert registry.versions("walked") == []
    for number, weights in enumerate((b"one", b"two"), 1):
        assert register(tracker, folder / str(number), "walked", weights) == str(number)
    first, second = registry.versions("walked")
    assert (first.version, second.version) == ("1", "2")
    assert first.run_id != second.run_id
    assert second.tags["kind"] == "head"

    registry.set_alias("walked", "champion", "1", reason="the first")
    registry.set_alias("walked", "champion", "2", reason="a better one", figures={"estimate": 0.0123456789})
    crowned = registry.resolve("walked", "champion")
    assert (crowned.version, crowned.aliases) == ("2", ("champion",))
    assert crowned.tags["champion/reason"] == "a better one"
    assert crowned.tags["champion/estimate"] == "0.0123457"
    assert registry.resolve("walked", "previous_champion").version == "1"

    fetched = registry.fetch(crowned, folder / "cache")
    assert fetched == folder / "cache" / "walked" / "2"
    assert (fetched / "model.safetensors").read_bytes() == b"two"
    assert registry.fetch(registry.resolve("walked", "1"), folder / "cache") != fetched


def test_versions_are_found_by_number_and_by_alias_and_fetched(tracker, tmp_path):
    walk_through(tracker, tmp_path)


def test_what_is_not_there_is_told_with_what_is(tracker, tmp_path):
    for number in ("1", "2"):
        register(tracker, tmp_path / number, "listed", number.encode())
    tracker.registry.set_alias("listed", "champion", "2", reason="why not")
    with pytest.raises(TrackingError, match=r"listed has no version 7 .*\(1, 2\) or aliases \(champion \(2\)\)"):
        tracker.registry.resolve("listed", "7")
    with pytest.raises(TrackingError, match=r"listed has no alias best .*glm-assets champion listed --version N"):
        tracker.registry.resolve("listed", "best")
    with pytest.raises(TrackingError, match="has no version 7"):
        tracker.registry.set_alias("listed", "champion", "7", reason="none")
    assert tracker.registry.resolve("listed", "champion").version == "2"


def test_setting_an_alias_again_keeps_the_previous_one(tracker, tmp_path):
    for number in ("1", "2"):
        register(tracker, tmp_path / number, "again", number.encode())
    for number in ("1", "2", "2"):
        tracker.registry.set_alias("again", "champion", number, reason="r")
    assert tracker.registry.resolve("again", "previous_champion").version == "1"


@pytest.mark.parametrize("harm", ["changed", "removed"])
def test_tampered_artifacts_are_refused_and_nothing_is_left(tracker, tmp_path, harm):
    name = f"tampered_{harm}"
    register(tracker, tmp_path / "made", name, b"right")
    stored = artifacts_of(tracker, name, "1")
    if harm == "changed":
        (stored / "model.safetensors").write_bytes(b"wrong")
    if harm == "removed":
        (stored / "meta.json").unlink()
    cache = tmp_path / "cache"
    culprit = {"changed": "model.safetensors", "removed": "meta.json"}[harm]
    with pytest.raises(IntegrityError, match=rf"{name} version 1 .*not what was registered: {culprit}"):
        tracker.registry.fetch(tracker.registry.resolve(name, "1"), cache)
    assert [path.name for path in (cache / name).iterdir() if not path.name.endswith(".lock")] == []


def test_what_was_added_to_the_artifacts_is_not_fetched(tracker, tmp_path):
    register(tracker, tmp_path / "made", "added_to", b"right")
    (artifacts_of(tracker, "added_to", "1") / "python_model.pkl").write_bytes(b"anything")
    fetched = tracker.registry.fetch(tracker.registry.resolve("added_to", "1"), tmp_path)
    assert {path.name for path in fetched.iterdir()} == {
        "MLmodel",
        "meta.json",
        "model.safetensors",
        "python_env.yaml",
        "requirements.txt",
    }


def test_a_damaged_copy_here_is_fetched_again_and_a_right_one_is_left(tracker, tmp_path):
    register(tracker, tmp_path / "made", "cached", b"right")
    version = tracker.registry.resolve("cached", "1")
    folder = tracker.registry.fetch(version, tmp_path)
    (folder / "model.safetensors").write_bytes(b"wrong")
    tracker.registry.fetch(version, tmp_path)
    assert (folder / "model.safetensors").read_bytes() == b"right"

    stored = artifacts_of(tracker, "cached", "1")
    stored.rename(stored.with_name("elsewhere"))
    assert tracker.registry.fetch(version, tmp_path) == folder  # the server is not needed
    (folder / "model.safetensors").unlink()
    with pytest.raises(TrackingError, match="the files of cached version 1 cannot be read"):
        tracker.registry.fetch(version, tmp_path)


def test_a_version_that_others_registered_has_no_checksums_and_is_refused(tracker, tmp_path):
    import mlflow

    client = mlflow.MlflowClient(tracker.uri, tracker.uri)
    client.create_registered_model("foreign")
    client.create_model_version("foreign", tmp_path.as_uri(), await_creation_for=0)
    with pytest.raises(IntegrityError, match=r"foreign version 1 has no checksums"):
        tracker.registry.fetch(tracker.registry.resolve("foreign", "1"), tmp_path / "cache")


@pytest.mark.parametrize("name", ["x/y.txt", "../y.txt", "..", "", "/y.txt", "x\\y.txt"])
def test_a_checksum_for_what_is_no_plain_file_name_is_refused(tracker, tmp_path, name):
    version = ModelVersion("odd", "1", None, (), {f"sha256/{name}": "0" * 64})
    with pytest.raises(IntegrityError, match=r"odd version 1 has a checksum for .*not the name of a file"):
        tracker.registry.fetch(version, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_without_tracking_there_are_no_models(tmp_path):
    registry: Registry = NullTracker().registry
    assert registry.versions("head_v3") == []
    with pytest.raises(TrackingError, match=r"head_v3 has no alias champion at a place where nothing is tracked"):
        registry.resolve("head_v3", "champion")
    with pytest.raises(TrackingError, match="has no version 1"):
        registry.set_alias("head_v3", "champion", "1", reason="r")
    with pytest.raises(TrackingError, match="has no version 1"):
        registry.fetch(ModelVersion("head_v3", "1", None, (), {}), tmp_path)


REGISTER = """
import sys
from pathlib import Path
from glm_assets.tracking import MlflowTracker
from glm_assets_tests.tracking.stores import register

print(register(MlflowTracker(sys.argv[1]), Path(sys.argv[2]), "raced", sys.argv[2].encode()))
"""


def race(uri: str, folder: Path, repository: Path) -> None:
    """Processes that register at once get versions of their own."""
    folders = [str(folder / str(number)) for number in range(3)]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", REGISTER, uri, each], stdout=subprocess.PIPE, text=True, cwd=repository
        )
        for each in folders
    ]
    said = [child.communicate(timeout=180)[0].splitlines()[-1] for child in children]
    assert sorted(said) == ["1", "2", "3"]
    registry = MlflowTracker(uri).registry
    for version, each in zip(said, folders, strict=True):
        fetched = registry.fetch(registry.resolve("raced", version), folder / "cache")
        assert (fetched / "model.safetensors").read_bytes() == each.encode()


@pytest.mark.system
def test_processes_that_register_at_once_get_versions_of_their_own(tmp_path, repository):
    race(f"sqlite:///{tmp_path / 'db' / 'mlflow.db'}", tmp_path, repository)


@pytest.fixture
def server(tmp_path):
    """A real server with a database and a folder of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(sys.executable).with_name("mlflow")
    store = f"--backend-store-uri sqlite:///{tmp_path}/server.db --artifacts-destination {tmp_path}/artifacts"
    process = subprocess.Popen(
        [program, *f"server {store} --host 127.0.0.1 --port {port} --workers 1".split()],
        start_new_session=True,
        env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )
    uri = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _healthy(uri), "the server", seconds=180)
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its children outlive it otherwise
        process.wait()


def _healthy(uri: str) -> bool:
    try:
        return httpx.get(f"{uri}/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.system
def test_a_server_does_what_a_database_does(server, tmp_path, repository):
    walk_through(MlflowTracker(server), tmp_path)
    race(server, tmp_path / "race", repository)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(server)
    loaded = mlflow.pyfunc.load_model("models:/walked@champion")
    mlflow.set_tracking_uri(before)
    assert loaded.predict(np.zeros((3, 4), np.float32)).tolist() == [[ord("t")] * 2] * 3
    with pytest.raises(mlflow.exceptions.MlflowException, match="does not match expected"):
        loaded.predict(np.zeros((3, 5), np.float32))
