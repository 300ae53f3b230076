"""The engine that has shards computed by worker processes: one a GPU on this machine, or whatever a command starts."""

from __future__ import annotations

import contextlib
import logging
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import polars as pl

from glm_assets.encoders.device import CPU, resolve_device, visible_gpus
from glm_assets.encoders.engines.job import EmbedJob
from glm_assets.encoders.engines.shard_queue import JOB, ShardQueue, posted
from glm_assets.encoders.shards import ShardReport
from glm_assets.errors import EncoderError

MAX_RESTARTS = 3
_POLL_S = 0.1
_GRACE_S = 5.0
_TAIL_LINES = 15

_log = logging.getLogger(__name__)


class Worker(Protocol):
    """A worker that was started, as far as it must be watched; `subprocess.Popen` is one."""

    def poll(self) -> int | None:
        """None while it works, then its exit status: 0 when it saw all shards done."""
        ...

    def terminate(self) -> None:
        """Ask it to end."""
        ...

    def kill(self) -> None:
        """End it."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises `subprocess.TimeoutExpired`."""
        ...


# Starts a worker: its arguments, the job's file first, and a file for its output.
StartWorker = Callable[[Sequence[str], Path], Worker]

COMMAND = (sys.executable, "-m", "glm_assets.encoders.worker")


@dataclass(frozen=True)
class WorkerProcesses:
    """Workers that take shards from a folder.

    Attributes:
        job: What they compute and where it goes.
        scratch: Folder for the queue; all the workers must reach it under this path.
        workers: How many to start; one for each visible GPU, and at least one, by default.
        start: Starts one; as a process of this machine by default.
    """

    job: EmbedJob
    scratch: Path
    workers: int | None = None
    start: StartWorker | None = None

    def run(self, shards: Sequence[pl.DataFrame]) -> Iterator[ShardReport]:
        """See `Engine.run`.

        Raises:
            GlmError: The error of a worker, or that all of them die again and again.
        """
        if not shards:
            return
        job, gpus = _share_gpus(self.job)
        count = min(self.workers or max(1, len(gpus)), len(shards))
        with (
            posted(self.scratch, job, shards) as queue,
            _fleet(queue, self.start or local_worker, gpus, count) as slots,
        ):
            done = 0
            while done < len(shards):
                for report in queue.new_reports():
                    done += 1
                    yield report
                queue.raise_failure()
                _tend(slots)
                time.sleep(_POLL_S)


def local_worker(arguments: Sequence[str], log: Path) -> Worker:
    """Start a worker as a process of this machine."""
    return _spawn([*COMMAND, *arguments], log)


def command_worker(command: str) -> StartWorker:
    """Workers started by a command of the user.

    Args:
        command: With `{job}` in the place of the job's file, such as
            `srun --gpus=1 python -m glm_assets.encoders.worker {job}`. It lasts as long as the worker and fails as it
            does; one that succeeds early, like `sbatch`, is fine, only nobody then starts a dead worker again.

    Raises:
        EncoderError: The command does not say where the job's file belongs.
    """
    if "{job}" not in command:
        raise EncoderError(
            f"the command {command!r} starts no worker",
            expected="a command with {job} in it, the place of the job's file",
            fix="set GLM_WORKER_COMMAND",
        )

    def start(arguments: Sequence[str], log: Path) -> Worker:
        return _spawn([part.replace("{job}", arguments[0]) for part in shlex.split(command)], log)

    return start


def _spawn(arguments: Sequence[str], log: Path) -> Worker:
    try:
        with log.open("ab") as output:
            return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    except FileNotFoundError as error:
        raise EncoderError(f"a worker cannot be started: {error}", fix="set GLM_WORKER_COMMAND") from error


def _share_gpus(job: EmbedJob) -> tuple[EmbedJob, list[str]]:
    """The job as a worker with one GPU sees it, and the GPUs to share out; a GPU that was named is used by all."""
    device = resolve_device(job.device)
    if device == CPU:
        return replace(job, device=CPU), []
    if job.device == "auto":
        return replace(job, device="cuda:0"), visible_gpus()
    return replace(job, device=device), []


class _Slot:
    """The place of one worker, which is started again when it dies."""

    def __init__(self, queue: ShardQueue, start: StartWorker, gpus: Sequence[str], number: int) -> None:
        arguments = [str(queue.folder / JOB), *(["--gpu", gpus[number % len(gpus)]] if gpus else [])]
        self._log = queue.folder / "logs" / f"{number}.txt"
        self._start = lambda: start(arguments, self._log)
        self._number = number
        self._restarts = 0
        self.worker = self._start()

    def tend(self) -> bool:
        """Start the worker again if it died.

        Returns:
            False when it died too often.
        """
        status = self.worker.poll()
        if not status:
            return True
        if self._restarts == MAX_RESTARTS:
            return False
        self._restarts += 1
        _log.warning("worker %d ended with status %d and is started again: %s", self._number, status, self.tail(1))
        self.worker = self._start()
        return True

    def tail(self, lines: int) -> str:
        """The end of what the worker wrote."""
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        return ""

    def end(self) -> None:
        """End the worker, whatever it does."""
        self.worker.terminate()
        try:
            self.worker.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self.worker.kill()
            self.worker.wait()


@contextlib.contextmanager
def _fleet(queue: ShardQueue, start: StartWorker, gpus: Sequence[str], count: int) -> Iterator[list[_Slot]]:
    """Yield workers, none of which outlives the block."""
    slots: list[_Slot] = []
    try:
        for number in range(count):
            slots.append(_Slot(queue, start, gpus, number))  # noqa: PERF401 - those before one that fails must be ended
        yield slots
    finally:
        queue.close()
        for slot in slots:
            slot.end()


def _tend(slots: list[_Slot]) -> None:
    alive = [slot.tend() for slot in slots]
    if not any(alive):
        raise EncoderError(
            f"all {len(slots)} workers have died {MAX_RESTARTS + 1} times each; the last words of one:\n"
            + slots[0].tail(_TAIL_LINES),
            fix="mend what they say and run again; shards that are done are kept",
        )
