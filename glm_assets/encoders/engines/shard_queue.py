"""A queue of shards in a folder, from which any number of workers on any number of machines take.

    job.json          what a worker needs to know
    engine            lease of the process that awaits the results, if one does
    shards/00007      rows, as an Arrow file
    leases/00007.0    who computes them; the next number when that one died
    reports/00007     what it took: done
    errors/00007      an unexpected error at it
    logs/0.txt        output of a worker
    failure.json      an error that ends the job

A lease is never removed or taken away. Whoever finds its owner dead creates the next one, which only one can.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from glm_assets import errors
from glm_assets.encoders.engines.job import EmbedJob, report_as_dict, report_from_dict
from glm_assets.encoders.engines.leases import PATIENCE_S, Heartbeat, LeaseWatch, take_lease
from glm_assets.encoders.shards import ShardReport
from glm_assets.errors import EncoderError, GlmError
from glm_assets.storage.atomic import atomic_path, write_json
from glm_assets.storage.disk_space import explained_writing

MAX_ATTEMPTS = 3
JOB = "job.json"
_ENGINE = "engine"
_FAILURE = "failure.json"


@dataclass(frozen=True)
class Claim:
    """A shard that this process is to compute.

    Attributes:
        name: Of the shard.
        rows: The shard.
        again: Whether a worker that died had it before.
        lease: The lease's file.
    """

    name: str
    rows: pl.DataFrame
    again: bool
    lease: Path


class ShardQueue:
    """A queue that is there.

    Args:
        folder: Where it lies.
        patience_s: A worker on another machine counts as dead when its lease was not renewed for so long.

    Raises:
        EncoderError: There is no job.
    """

    def __init__(self, folder: Path, patience_s: float = PATIENCE_S) -> None:
        self.folder = folder
        try:
            self.job = EmbedJob.from_dict(json.loads((folder / JOB).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EncoderError(
                f"{folder / JOB} cannot be read as a job ({error})",
                expected="a job of an embedding step that is running",
                fix="start the step first; its folder must be reachable under the same path on every machine",
            ) from error
        self.names = sorted(path.name for path in (folder / "shards").glob("[!.]*"))
        self._watch = LeaseWatch(patience_s)
        self._told: set[str] = set()

    @classmethod
    def create(
        cls, folder: Path, job: EmbedJob, shards: Sequence[pl.DataFrame], patience_s: float = PATIENCE_S
    ) -> ShardQueue:
        """Write a queue into a new folder; the job comes last, so that nobody finds half a queue.

        Raises:
            StorageError: The folder cannot be written to, or its disk is full.
        """
        for name in ("shards", "leases", "reports", "errors", "logs"):
            (folder / name).mkdir(parents=True)
        for number, shard in enumerate(shards):
            content = shard.write_ipc(None).getvalue()
            path = folder / "shards" / f"{number:05}"
            with explained_writing(folder, len(content)), atomic_path(path) as temporary:
                temporary.write_bytes(content)
        write_json(folder / JOB, job.as_dict())
        return cls(folder, patience_s)

    def claim(self) -> Claim | None:
        """Take a shard that nobody computes.

        Returns:
            None when there is none at the moment; one whose worker dies may still come back.

        Raises:
            EncoderError: A shard was given up.
        """
        attempts, finished = self._attempts(), self._finished()
        for name in self.names:
            if name in finished:
                continue
            attempt = attempts.get(name, 0)
            if attempt and not self._watch.is_dead(self._lease(name, attempt - 1)):
                continue
            if attempt >= MAX_ATTEMPTS:
                raise EncoderError(
                    f"the shard that begins with key {self._rows(name)['key'][0]} has ended {attempt} workers"
                    + self._last_words(name),
                    fix="look for memory errors in the log; lower encoder.batch_tokens or shard_rows",
                )
            lease = self._lease(name, attempt)
            # The owner may have finished since the first look, and then ended.
            if take_lease(lease) and name not in self._finished():
                return Claim(name, self._rows(name), attempt > 0, lease)
        return None

    def finish(self, claim: Claim, report: ShardReport) -> None:
        """Note a shard as done; its vectors are in the store."""
        if self.folder.exists():  # else nobody awaits it any more
            write_json(self._report(claim.name), report_as_dict(report))

    def note(self, claim: Claim, error: Exception) -> None:
        """Keep an unexpected error of a shard for the message when it is given up."""
        if self.folder.exists():
            (self.folder / "errors" / claim.name).write_text(repr(error), encoding="utf-8")

    def new_reports(self) -> Iterator[ShardReport]:
        """Reports that appeared since the last call."""
        for name in sorted(self._finished() - self._told):
            self._told.add(name)
            yield report_from_dict(json.loads(self._report(name).read_text(encoding="utf-8")))

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do: every shard is done, or the job has ended."""
        if not (self.folder / JOB).exists() or (self.folder / _FAILURE).exists():
            return True
        return self._finished() >= set(self.names)

    @property
    def is_abandoned(self) -> bool:
        """Whether the process that awaits the results has died."""
        engine = self.folder / _ENGINE
        return engine.exists() and self._watch.is_dead(engine)

    def close(self) -> None:
        """End the job: workers end after the shard they are at, wherever they run."""
        (self.folder / JOB).unlink(missing_ok=True)

    def fail(self, error: GlmError) -> None:
        """End the job with an error that no other worker can avoid."""
        values = {"kind": type(error).__name__, "problem": error.problem, "expected": error.expected}
        if self.folder.exists():
            write_json(self.folder / _FAILURE, values | {"fix": error.fix})

    def raise_failure(self) -> None:
        """Raise the error with which a worker ended the job, if one did."""
        if (self.folder / _FAILURE).exists():
            values = json.loads((self.folder / _FAILURE).read_text(encoding="utf-8"))
            kind = getattr(errors, values.pop("kind"), GlmError)
            raise kind(values["problem"], expected=values["expected"], fix=values["fix"])

    def _finished(self) -> set[str]:
        return {path.name for path in (self.folder / "reports").glob("[!.]*")}

    def _attempts(self) -> dict[str, int]:
        """How many leases there are of each shard."""
        found: dict[str, int] = {}
        for path in (self.folder / "leases").glob("*.*"):
            found[path.stem] = max(found.get(path.stem, 0), int(path.suffix[1:]) + 1)
        return found

    def _rows(self, name: str) -> pl.DataFrame:
        return pl.read_ipc(self.folder / "shards" / name)

    def _lease(self, name: str, attempt: int) -> Path:
        return self.folder / "leases" / f"{name}.{attempt}"

    def _last_words(self, name: str) -> str:
        note = self.folder / "errors" / name
        return f" ({note.read_text(encoding='utf-8')})" if note.exists() else ""

    def _report(self, name: str) -> Path:
        return self.folder / "reports" / name


@contextmanager
def posted(scratch: Path, job: EmbedJob, shards: Sequence[pl.DataFrame]) -> Iterator[ShardQueue]:
    """Yield a queue in a new folder of `scratch`; workers end when this process does, and the folder goes.

    Folders that killed processes left are removed first.
    """
    watch = LeaseWatch()
    for engine in scratch.glob(f"*/{_ENGINE}"):
        if watch.is_dead(engine):
            shutil.rmtree(engine.parent, ignore_errors=True)
    folder = scratch / uuid.uuid4().hex[:12]
    folder.mkdir(parents=True)
    take_lease(folder / _ENGINE)
    try:
        with Heartbeat(folder / _ENGINE):
            yield ShardQueue.create(folder, job, shards)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
