"""Starting the processes of a training on this machine, and ending all of them together. Nothing here needs torch."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from glm_assets.errors import TrainingError
from glm_assets.storage.atomic import write_json

Backend = Literal["gloo", "nccl"]

JOB, RESULT, PROGRESS, RENDEZVOUS = "job.json", "result.json", "progress.txt", "rendezvous"

_COMMAND = (sys.executable, "-m", "glm_assets.training.rank")
_POLL_S = 0.05
_GRACE_S = 3.0
_TAIL_LINES = 15


@dataclass(frozen=True)
class RankJob:
    """What every process of a training is told.

    Attributes:
        target: `package.module:function`, called with `job`, the process's `Ranks` and a teller of progress.
        job: What the function is given, as JSON holds it.
        processes: How many there are.
        backend: `gloo` for CPUs, `nccl` for GPUs.
    """

    target: str
    job: Mapping[str, Any]
    processes: int
    backend: Backend


def launch(
    target: str,
    job: Mapping[str, Any],
    processes: int,
    *,
    backend: Backend = "gloo",
    progress: Callable[[str], None],
) -> Any:
    """Run a function in several processes that train together, and wait for them.

    None of them outlives this call or the process that makes it: when one fails, all are ended.

    Args:
        target: `package.module:function`. It is called as `function(job, ranks, progress)`, and what it returns in the
            first process is what this returns.
        job: What it is given; JSON must be able to hold it, and what is returned.
        processes: How many; with `nccl` one a GPU.
        backend: `gloo` for CPUs, `nccl` for GPUs.
        progress: Told what the first process tells.

    Raises:
        TrainingError: A process failed; with its number and its last words.
    """
    if processes < 1:
        raise TrainingError(f"{processes} processes cannot train", expected="1 or more")
    with tempfile.TemporaryDirectory(prefix="glm_ranks_") as scratch:
        folder = Path(scratch)
        write_json(folder / JOB, asdict(RankJob(target, job, processes, backend)))
        with _started(folder, processes) as ranks:
            told = _Follower(folder / PROGRESS, progress)
            while any(rank.process.poll() is None for rank in ranks):
                _raise_failure(ranks)
                told.follow()
                time.sleep(_POLL_S)
            _raise_failure(ranks)
            told.follow()
        return json.loads((folder / RESULT).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class _Rank:
    """A process that was started."""

    number: int
    process: subprocess.Popen[bytes]
    log: Path

    def end(self) -> None:
        """End it, whatever it does."""
        self.process.terminate()
        try:
            self.process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()

    def last_words(self) -> str:
        """How it ended, and the end of what it wrote."""
        status = self.process.returncode
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"failed with status {status}"
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
        return f"rank {self.number} {how}; its last words:\n" + ("\n".join(lines) or "(none)")


@contextmanager
def _started(folder: Path, processes: int) -> Iterator[list[_Rank]]:
    """Yield the processes, none of which outlives the block."""
    ranks: list[_Rank] = []
    try:
        for number in range(processes):
            ranks.append(_start(folder, number))  # noqa: PERF401 - those before one that fails must be ended
        yield ranks
    finally:
        for rank in ranks:
            rank.process.terminate()
        for rank in ranks:
            rank.end()


def _start(folder: Path, number: int) -> _Rank:
    log = folder / f"rank_{number}.txt"
    with log.open("wb") as output:
        # Its standard input stays open as long as this process lives: that is how it learns that it is alone.
        process = subprocess.Popen(
            [*_COMMAND, str(folder), str(number)], stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT
        )
    return _Rank(number, process, log)


def _raise_failure(ranks: list[_Rank]) -> None:
    """Raise for the process that failed first, as far as can be told: the others lose it, and fail after it."""
    failed = [rank for rank in ranks if rank.process.poll()]
    if failed:
        first = min(failed, key=lambda rank: (rank.process.returncode >= 0, rank.log.stat().st_mtime_ns))
        raise TrainingError(
            f"a training of {len(ranks)} processes has ended: {first.last_words()}",
            fix="mend what it says and train again; epochs that are done are kept",
        )


class _Follower:
    """Reads the lines that are appended to a file."""

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        self._path = path
        self._tell = tell
        self._position = 0

    def follow(self) -> None:
        """Tell the lines that are new and whole."""
        with suppress(FileNotFoundError), self._path.open("rb") as stream:
            stream.seek(self._position)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                self._position += len(line)
                self._tell(line.decode().rstrip("\n"))
