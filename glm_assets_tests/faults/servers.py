"""An MLflow server that can be ended and started again on the same data."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx

from glm_assets_tests.checkouts import wait_until


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class MlflowServer:
    """A real server with a database and artifacts in `folder`, on one port for all its lives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen | None = None
        self.uri = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        program = Path(sys.executable).with_name("mlflow")
        store = (
            f"--backend-store-uri sqlite:///{self._folder}/server.db --artifacts-destination {self._folder}/kept"
        )
        self._process = subprocess.Popen(
            [program, *f"server {store} --host 127.0.0.1 --port {self._port} --workers 1".split()],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )
        wait_until(self._healthy, "the server", seconds=180)

    def stop(self) -> None:
        """Kill it with its children, which outlive it otherwise."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"{self.uri}/health", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False
