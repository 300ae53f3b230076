"""What could not be sent to a tracking server: kept in files, and sent in order, exactly once, when it is back.

`<outbox>/<entry>/` holds one run: `entry.json` names it, `calls.jsonl` has what was recorded, a line a call, and
`files` what was to be uploaded. An entry is locked while its run lasts. Sending repeats all its calls on one MLflow
run, which leaves alone what it has already, so an interrupted sending is simply repeated.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from glm_assets.errors import TrackingError
from glm_assets.storage.atomic import atomic_path, write_json
from glm_assets.tracking.mlflow import ONCE, MlflowRun, MlflowTracker
from glm_assets.tracking.models import ModelCard

OUTBOX = "mlflow_outbox"
SEND = "glm-assets send-tracking"
_ENTRY, _CALLS, _FILES, _RUN = "entry.json", "calls.jsonl", "files", "run.json"
_GONE = ".sent-"
_END = "end"

Call = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """What became of an entry.

    Attributes:
        entry: Its name.
        run: The run's name, such as `head_v3`.
        url: The run's page; None where it was not sent.
        registered: Registered model to the version that the run got.
        problem: Why it was not sent, or None.
    """

    entry: str
    run: str
    url: str | None
    registered: Mapping[str, str]
    problem: str | None = None


class Entry:
    """One run that waits or that may have to.

    Args:
        folder: Its folder in the outbox.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        about = json.loads((folder / _ENTRY).read_text(encoding="utf-8"))
        self.name: str = about["name"]
        self.start_ms: int = about["start_ms"]
        self.tags: dict[str, str] = {**about["tags"], ONCE: folder.name}
        self._resume_file = Path(about["resume_file"])

    def append(self, call: str, arguments: Mapping[str, Any]) -> Call:
        """Write a call down; it is in the file when this returns."""
        line = {"call": call, "at_ms": now_ms(), "arguments": dict(arguments)}
        with (self.folder / _CALLS).open("ab") as stream:
            stream.write(json.dumps(line).encode() + b"\n")
        return line

    def calls(self) -> Iterator[Call]:
        """What was written down, in order; a last line that a kill has torn is no call."""
        with suppress(FileNotFoundError), (self.folder / _CALLS).open("rb") as stream:
            for line in stream:
                if line.endswith(b"\n"):
                    yield json.loads(line)

    def keep(self, file: Path) -> str:
        """Copy a file into the entry; returns its path there."""
        name = f"{_FILES}/{uuid.uuid4().hex[:12]}/{file.name}"
        with atomic_path(self.folder / name) as temporary:
            shutil.copy2(file, temporary)
        return name

    def open_on(self, tracker: MlflowTracker) -> MlflowRun:
        """The entry's run on a server, with everything that was written down so far.

        Raises:
            TrackingError: The server refuses or cannot be reached.
        """
        run = tracker.open_run(self.name, tags=self.tags, resume_file=self.folder / _RUN, start_ms=self.start_ms)
        if self._resume_file.parent.is_dir():  # a training that goes on finds its run there
            shutil.copyfile(self.folder / _RUN, self._resume_file)
        for call in self.calls():
            if call["call"] != _END:
                self.repeat(call, run)
        return run

    def close(self, run: MlflowRun) -> None:
        """End the run as it ended; one that was killed stays open."""
        calls = list(self.calls())
        if calls and calls[-1]["call"] == _END:
            run.end(calls[-1]["arguments"]["status"], calls[-1]["at_ms"])
        run.flush()

    def repeat(self, call: Call, run: MlflowRun) -> str | None:
        """Do on a run what a call was, unless it has it already; returns the version that a model got."""
        name, given = call["call"], dict(call["arguments"])
        if name == "log_epoch":
            run.log_epoch(given["epoch"], given["metrics"], call["at_ms"])
        elif name == "log_artifact":
            run.log_artifact(self.folder / given["file"], given["folder"])
        elif name == "register_model":
            card = ModelCard(**given["card"] | {"requirements": tuple(given["card"]["requirements"])})
            return run.register_model(given["name"], [self.folder / file for file in given["files"]], card)
        else:
            getattr(run, name)(**given)
        return None

    def mend(self) -> None:
        """Cut off a line that a kill has torn, so that the next one begins anew."""
        path = self.folder / _CALLS
        if path.exists() and not (content := path.read_bytes()).endswith(b"\n"):
            with atomic_path(path) as temporary:
                temporary.write_bytes(content[: content.rfind(b"\n") + 1])

    def remove(self) -> None:
        """Remove it; a kill in between leaves no half of it."""
        gone = self.folder.with_name(f"{_GONE}{self.folder.name}")
        self.folder.replace(gone)
        shutil.rmtree(gone)
        if not self._resume_file.parent.is_dir():  # otherwise a training that goes on may be waiting for the lock
            _lock_file(self.folder).unlink(missing_ok=True)


class Outbox:
    """The entries of a data root.

    Args:
        folder: Made when the first entry is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def waiting(self) -> list[str]:
        """Names of the entries, oldest first; those of runs that last are among them."""
        found = self.folder.glob(f"[!.]*/{_ENTRY}") if self.folder.is_dir() else ()
        return sorted(path.parent.name for path in found)

    @contextmanager
    def entry(self, name: str, tags: Mapping[str, str], resume_file: Path) -> Iterator[Entry]:
        """An entry for a run, locked until the block ends: that of an earlier attempt, or a new one.

        Args:
            name: Name of the run.
            tags: Of the run.
            resume_file: As a tracker takes it; which entry it is gets noted beside it.
        """
        from filelock import FileLock

        note = resume_file.with_name(f"{resume_file.stem}.outbox.json")
        noted = json.loads(note.read_text(encoding="utf-8"))["entry"] if note.exists() else None
        folder = self.folder / (noted or _new_name(name))
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(_lock_file(folder)):
            if not (folder / _ENTRY).exists():
                folder.mkdir(exist_ok=True)
                if resume_file.exists():
                    shutil.copyfile(resume_file, folder / _RUN)
                about = {"name": name, "resume_file": str(resume_file.absolute()), "start_ms": now_ms()}
                write_json(note, {"entry": folder.name})
                write_json(folder / _ENTRY, about | {"tags": dict(tags)})
            entry = Entry(folder)
            entry.mend()
            yield entry

    def send(self, tracker: MlflowTracker) -> list[Sent]:
        """Send every entry whose run has ended or was killed, oldest first.

        Returns:
            What became of each. After the first that finds the server silent no other is tried.
        """
        from filelock import FileLock

        if not self.folder.is_dir():
            return []
        done: list[Sent] = []
        with FileLock(self.folder / ".sending.lock"):
            for gone in self.folder.glob(f"{_GONE}*"):
                shutil.rmtree(gone)
            for name in self.waiting():
                if sent := self._send(name, tracker):
                    done.append(sent)
                if sent and sent.problem and not _answers(tracker):
                    break
        return done

    def _send(self, name: str, tracker: MlflowTracker) -> Sent | None:
        """Send an entry and remove it; None if its run lasts."""
        from filelock import FileLock, Timeout

        folder = self.folder / name
        try:
            with FileLock(_lock_file(folder), timeout=0):
                entry = Entry(folder)
                try:
                    run = entry.open_on(tracker)
                    entry.close(run)
                    registered = _registered(entry, run)
                except TrackingError as error:
                    return Sent(name, entry.name, None, {}, str(error))
                entry.remove()
                return Sent(name, entry.name, run.url, registered)
        except (Timeout, FileNotFoundError):  # it lasts, or another process has just ended it
            return None


def as_arguments(card: ModelCard) -> dict[str, Any]:
    """A card as JSON."""
    return cast("dict[str, Any]", asdict(card))


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def _registered(entry: Entry, run: MlflowRun) -> dict[str, str]:
    models = (call for call in entry.calls() if call["call"] == "register_model")
    return {call["arguments"]["name"]: str(entry.repeat(call, run)) for call in models}


def _answers(tracker: MlflowTracker) -> bool:
    try:
        tracker.look()
    except TrackingError:
        return False
    return True


def _new_name(name: str) -> str:
    """Sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{name}-{uuid.uuid4().hex[:8]}"


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")
