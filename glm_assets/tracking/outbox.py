"""What could not be sent to a tracking server: kept in files, and sent in order, exactly once, when it is back.

`<outbox>/<entry>/` holds one run: `entry.json` names it, `calls.jsonl` has what was recorded, a line a call, and
`files` what was to be uploaded. An entry is locked while its run lasts. Sending repeats all its calls on one MLflow
run, which leaves alone what it has already, so an interrupted sending is simply repeated.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

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

_LOG = logging.getLogger(__name__)


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

    def __str__(self) -> str:
        """A line for people, and one for each model that may become champion."""
        if self.problem:
            return f"{self.entry} waits: {self.problem}"
        crowns = (
            f"  {model} version {version}; to make it champion: glm-assets champion {model} --version {version}"
            for model, version in self.registered.items()
        )
        return "\n".join([f"{self.entry} sent: {self.url}", *crowns])


class Entry:
    """One run that waits or that may have to.

    Args:
        folder: Its folder in the outbox.

    Attributes:
        torn: Lines that the last reading of its calls has left out, as they were not written whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.torn = 0
        about = json.loads((folder / _ENTRY).read_text(encoding="utf-8"))
        self.name: str = about["name"]
        self.start_ms: int = about["start_ms"]
        self.tags: dict[str, str] = {**about["tags"], ONCE: folder.name}
        self._resume_file = Path(about["resume_file"])

    def append(self, call: str, arguments: Mapping[str, Any]) -> Call:
        """Write a call down; it is in the file when this returns."""
        line = {"call": call, "at_ms": now_ms(), "arguments": dict(arguments)}
        with (self.folder / _CALLS).open("ab+") as stream:
            begin = b"" if _ends_a_line(stream) else b"\n"  # a full disk may have torn the line before
            stream.write(begin + json.dumps(line).encode() + b"\n")
        return line

    def calls(self) -> Iterator[Call]:
        """What was written down, in order; a line that a kill or a full disk has torn is no call."""
        self.torn = 0
        with suppress(FileNotFoundError), (self.folder / _CALLS).open("rb") as stream:
            for line in stream:
                if (call := _parsed(line)) is None:
                    self.torn += 1
                else:
                    yield call

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
        shutil.rmtree(gone, ignore_errors=True)  # an earlier attempt of the same run may have left it
        self.folder.replace(gone)
        shutil.rmtree(gone, ignore_errors=True)  # a sending may be removing it too, and finishes what is left
        _lock_file(self.folder).unlink(missing_ok=True)  # who waits for it sees that it is gone, and makes another


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
                shutil.rmtree(gone, ignore_errors=True)  # its own run may be at it
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
        with suppress(Timeout), FileLock(_lock_file(folder), timeout=0):
            run = name
            try:
                entry = Entry(folder)
                run = entry.name
                return _send_entry(entry, tracker)
            except (TrackingError, OSError, ValueError) as error:
                if (folder / _ENTRY).exists():
                    return Sent(name, run, None, {}, str(error))
                _lock_file(folder).unlink(missing_ok=True)  # another process has just ended it
        return None


def _send_entry(entry: Entry, tracker: MlflowTracker) -> Sent:
    run = entry.open_on(tracker)
    entry.close(run)
    registered = _registered(entry, run)
    if entry.torn:
        _LOG.warning("%s: %d torn lines of what it recorded are left out", entry.folder, entry.torn)
    entry.remove()
    return Sent(entry.folder.name, entry.name, run.url, registered)


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


def _parsed(line: bytes) -> Call | None:
    with suppress(ValueError):
        return json.loads(line) if line.endswith(b"\n") else None
    return None


def _ends_a_line(stream: BinaryIO) -> bool:
    """Whether a file open for reading and appending is empty or ends with the end of a line."""
    if stream.seek(0, os.SEEK_END) == 0:
        return True
    stream.seek(-1, os.SEEK_END)
    return stream.read(1) == b"\n"


def _new_name(name: str) -> str:
    """Sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{name}-{uuid.uuid4().hex[:8]}"


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")
