"""Embedding workers started through Dagster Pipes: what they log and achieve appears in the run's log."""

import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from glm_assets.encoders.engines.worker_processes import COMMAND, StartWorker
from glm_assets.lineage.study import Study


class PipesWorker(threading.Thread):
    """A call of a Pipes client, which lasts as long as its worker, watched as a process would be.

    Args:
        run: Starts the worker and returns when it has ended well.
        log: Takes the error otherwise.
    """

    def __init__(self, run: Callable[[], Any], log: Path) -> None:
        super().__init__(name="pipes-worker", daemon=True)
        self._run_worker = run
        self._log = log
        self._status = 0
        self.start()

    def run(self) -> None:
        """Wait for the worker."""
        try:
            self._run_worker()
        except Exception as error:  # noqa: BLE001 - each client raises its own; the engine decides what it means
            self._status = 1
            self._log.write_text(f"{error}\n", encoding="utf-8")

    def poll(self) -> int | None:
        """None while the worker lives, then 0 if it ended well."""
        return None if self.is_alive() else self._status

    def terminate(self) -> None:
        """Nothing: a worker ends by itself when its job does, after the shard it is at."""

    kill = terminate

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the worker's end."""
        self.join(timeout)
        if self.is_alive():
            raise subprocess.TimeoutExpired(self.name, timeout or 0)
        return self._status


def pipes_workers(run: Callable[[Sequence[str]], Any]) -> StartWorker:
    """Workers started by any Pipes client.

    Args:
        run: Calls the client with the worker's arguments, the job's file first: for Kubernetes
            `lambda arguments: k8s.run(context=context, image=..., command=[*COMMAND, arguments[0]])`.
    """
    return lambda arguments, log: PipesWorker(lambda: run(arguments), log)


def local_pipes_workers(context: dg.AssetExecutionContext, study: Study) -> StartWorker | None:
    """Workers on this machine through Pipes, where the settings ask for them."""
    if study.settings.engine != "pipes":
        return None
    client = dg.PipesSubprocessClient()
    return pipes_workers(lambda arguments: client.run(context=context, command=[*COMMAND, *arguments]))
