"""The commands of deploy/compose/ together on this machine: a run from the queue, its data and its tracking."""

from __future__ import annotations

import shutil
import socket
from contextlib import ExitStack, suppress
from dataclasses import replace

import pytest

from glm_assets_tests.checkouts import make_checkout, wait_until
from glm_assets_tests.compose import FOLDER, LocalServices, write_workspace
from glm_assets_tests.conftest import REPOSITORY
from glm_assets_tests.postgres import PASSWORD, PostgresServer
from glm_assets_tests.webservers import Server, free_port

LAUNCH = """mutation($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { id } }
    ... on PythonError { message }
  }
}"""
RUN = {
    "selector": {
        "repositoryLocationName": "glm_assets",
        "repositoryName": "__repository__",
        "pipelineName": "__ASSET_JOB",
        "assetSelection": [{"path": ["clinvar_release"]}],
    },
    "runConfigData": {},
}
LOG_AND_READ = """
import mlflow
mlflow.set_experiment("group")
with mlflow.start_run() as run:
    mlflow.log_text("in the store", "note.txt")
assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/note.txt") == "in the store"
"""


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture
def local(tmp_path, postgres: PostgresServer) -> LocalServices:
    """The services, with free ports, and the databases and buckets that containers would make."""
    postgres.create("dagster")
    postgres.execute((FOLDER / "mlflow.sql").read_text())
    checkout = make_checkout(tmp_path / "checkout", {"DAGSTER_HOME": str(tmp_path / "checkout/home")})
    (checkout.folder / "home").mkdir()
    shutil.copy(REPOSITORY / "deploy/postgres/dagster.yaml", checkout.folder / "home")
    for bucket in ("glm", "mlflow"):
        (checkout.folder / "objects" / bucket).mkdir(parents=True)
    ports = {port: str(free_port()) for port in ("9000", "5000", "3030", "3000")}
    write_workspace(checkout.folder / "workspace.yaml", int(ports["3030"]))
    places = {
        "/opt/dagster/workspace.yaml": str(checkout.folder / "workspace.yaml"),
        "/data": str(checkout.folder / "objects"),
        "s3://glm/data": "s3://glm/data",  # that is a bucket and a prefix, no folder
        "postgres:5432": f"127.0.0.1:{postgres.port}",
        "objects:9000": f"127.0.0.1:{ports['9000']}",
        "mlflow:5000": f"127.0.0.1:{ports['5000']}",
        "0.0.0.0": "127.0.0.1",
    }
    secrets = {"AWS_ACCESS_KEY_ID": "group", "AWS_SECRET_ACCESS_KEY": "sesame"}
    password = {"POSTGRES_PASSWORD": PASSWORD.replace("/", "%2F")}
    return LocalServices(checkout, secrets | password, places | ports)


@pytest.mark.system
def test_the_services_together_execute_a_run_from_the_queue(local):
    port = {name: int(local.places[name]) for name in ("9000", "5000", "3000")}
    with ExitStack() as running:
        running.enter_context(local.start("objects", "rclone"))
        wait_until(lambda: listens(port["9000"]), "the object store")
        for name in ("mlflow", "code"):
            running.enter_context(local.start(name))
        wait_until(lambda: local.is_healthy("code"), "the code location", seconds=240, pause=1)
        web = Server(running.enter_context(local.start("webserver")), port["3000"])
        running.enter_context(local.start("daemon"))
        wait_until(lambda: local.is_healthy("webserver"), "the webserver", seconds=240, pause=1)
        launched = web.graphql(LAUNCH, params=RUN)["launchPipelineExecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        wait_until(lambda: web.runs()[0]["status"] in {"SUCCESS", "FAILURE"}, "the run", seconds=240, pause=1)
        assert web.runs() == [
            launched["run"] | {"status": "SUCCESS", "assets": ["clinvar_release"], "partition": None}
        ]
        assert local.is_healthy("daemon")

        wait_until(lambda: local.is_healthy("mlflow"), "MLflow", seconds=240, pause=1)
        tracking = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port['5000']}"}
        client = replace(local.checkout, environment={**local.checkout.environment, **tracking})
        client.run(f"python -c '{LOG_AND_READ}'")
    assert [path.name for path in (local.checkout.folder / "home").iterdir()] == ["dagster.yaml"]
    objects = local.checkout.folder / "objects"
    assert list((objects / "glm/data").rglob("manifest.json"))
    assert [path.read_text() for path in (objects / "mlflow").rglob("note.txt")] == ["in the store"]
