"""Servers listen on this machine only, and a read-only webserver launches nothing."""

from __future__ import annotations

import re
from pathlib import Path

import psutil
import pytest
import yaml

from glm_assets_tests.checkouts import make_checkout
from glm_assets_tests.conftest import REPOSITORY
from glm_assets_tests.lineage.studies import tiny_environment
from glm_assets_tests.webservers import serve

LAUNCH = """
mutation ($parameters: ExecutionParams!) {
  launchRun(executionParams: $parameters) {
    __typename
    ... on UnauthorizedError { message }
    ... on PythonError { message }
  }
}
"""
PARAMETERS = {
    "selector": {
        "repositoryName": "__repository__",
        "repositoryLocationName": "glm_assets",
        "pipelineName": "sources",
    },
    "runConfigData": {},
    "mode": "default",
}
# A server inside a container listens for the container's network; what the host publishes is said beside it.
DOCUMENTS = (
    *("README.md", "CONTRIBUTING.md", "Makefile", "dagster.yaml", "workspace.yaml"),
    *(str(path.relative_to(REPOSITORY)) for path in sorted((REPOSITORY / "docs").glob("*.md"))),
)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documented_servers_listen_on_this_machine(name):
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    assert "0.0.0.0" not in text
    hosts = re.findall(r"(?:--host|-h)[ =]+([\w.:]+)(?=.*(?:ui|webserver|server))|(?<=--host )([\w.:]+)", text)
    assert {host for pair in hosts for host in pair if host} <= {"127.0.0.1", "localhost"}


def test_what_the_group_publishes_is_on_this_machine():
    """A compose file publishes a port on the loopback address, or not at all."""
    published = []
    for path in (REPOSITORY / "deploy").rglob("*.y*ml"):
        for document in yaml.safe_load_all(re.sub(r"\{\{.*?\}\}", "x", path.read_text(encoding="utf-8"))):
            for service in ((document or {}).get("services") or {}).values() if isinstance(document, dict) else ():
                published += [(path.name, str(port)) for port in service.get("ports") or ()]
    assert [(name, port) for name, port in published if not port.startswith(("127.0.0.1:", "[::1]:"))] == []


@pytest.mark.system
def test_a_read_only_webserver_launches_nothing_and_is_not_seen_from_outside(tmp_path, tiny_tree):
    checkout = make_checkout(tmp_path / "checkout", tiny_environment(tmp_path / "study", tiny_tree))
    command = "dagster-webserver --read-only -m glm_assets.definitions"
    environment = {**checkout.environment, "DAGSTER_HOME": str(checkout.folder)}
    checkout = type(checkout)(checkout.folder, environment)
    with serve(checkout, command, "/server_info") as server:
        locations = server.graphql(
            "{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }"
        )
        assert locations["workspaceOrError"]["locationEntries"][0]["loadStatus"] == "LOADED"
        selector = PARAMETERS["selector"] | {
            "repositoryLocationName": locations["workspaceOrError"]["locationEntries"][0]["name"]
        }
        answer = server.graphql(LAUNCH, parameters=PARAMETERS | {"selector": selector})
        assert answer["launchRun"]["__typename"] == "UnauthorizedError"
        assert server.runs() == []
        port = int(server.url.rpartition(":")[2])
        family = [server.process, *psutil.Process(server.process.pid).children(recursive=True)]
        listening = [
            address.laddr
            for process in family
            for address in psutil.Process(process.pid).net_connections("tcp")
            if address.status == psutil.CONN_LISTEN
        ]
        assert port in {address.port for address in listening}
        assert {address.ip for address in listening} <= {"127.0.0.1", "::1"}
    assert not Path(tmp_path / "study" / "data").exists()
