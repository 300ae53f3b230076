"""Web servers of the project (Dagster, MLflow) on free ports, and what to ask them."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil

from glm_assets_tests.checkouts import Checkout, wait_until

RUNS = "{ runsOrError { ... on Runs { results { id status tags { key value } assetSelection { path } } } } }"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A web server of the project."""

    def __init__(self, process: subprocess.Popen, port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self._client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def answers(self, path: str) -> bool:
        assert self.process.poll() is None, "the server has ended"
        try:
            return self._client.get(path).status_code == 200
        except httpx.TransportError:
            return False

    def post(self, path: str, body: dict) -> dict:
        answer = self._client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def graphql(self, query: str, **variables) -> dict:
        answer = self.post("/graphql", {"query": query, "variables": variables})
        assert "errors" not in answer, answer
        return answer["data"]

    def runs(self) -> list[dict]:
        """The runs in the history, newest first: id, status, assets and partition."""
        return [
            {
                "id": run["id"],
                "status": run["status"],
                "assets": [key["path"][0] for key in run["assetSelection"] or []],
                "partition": {tag["key"]: tag["value"] for tag in run["tags"]}.get("dagster/partition"),
            }
            for run in self.graphql(RUNS)["runsOrError"]["results"]
        ]


@contextmanager
def serve(checkout: Checkout, command: str, path: str) -> Iterator[Server]:
    """Start a server on a free port and wait until a path answers."""
    port = free_port()
    with checkout.start(f"{command} --port {port}") as process:
        server = Server(process, port)
        wait_until(lambda: server.answers(path), f"{command} answers {path}", seconds=180, pause=0.3)
        yield server


def stop(process: subprocess.Popen) -> None:
    """End a server as a service manager does; it must take its children along."""
    family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    assert process.wait(timeout=60) == 0
    _, alive = psutil.wait_procs(family, timeout=60)
    assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []
