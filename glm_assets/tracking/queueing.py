"""A tracker that no outage stops: what MLflow does not take is kept in the outbox and sent later."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from glm_assets.errors import TrackingError
from glm_assets.tracking.connection import NotInstalledError
from glm_assets.tracking.mlflow import MlflowRun, MlflowTracker
from glm_assets.tracking.models import ModelCard
from glm_assets.tracking.outbox import SEND, Call, Entry, Outbox, as_arguments
from glm_assets.tracking.protocol import Tracker
from glm_assets.tracking.registry import MlflowRegistry

_LOG = logging.getLogger(__name__)


def open_tracker(uri: str, outage: Literal["queue", "require"], outbox: Path) -> Tracker:
    """MLflow, and what happens when it cannot be reached.

    Args:
        uri: Tracking URI.
        outage: `queue`: a training goes on and what it records is sent later; `require`: it does not start.
        outbox: Folder for what is sent later.

    Raises:
        TrackingError: The URI names a file store or an unknown one.
    """
    tracker = MlflowTracker(uri)
    return tracker if outage == "require" else QueueingTracker(tracker, Outbox(outbox))


class QueueingTracker:
    """Runs in MLflow while it answers, and in an outbox otherwise.

    Args:
        tracker: MLflow.
        outbox: What it did not take.
    """

    def __init__(self, tracker: MlflowTracker, outbox: Outbox) -> None:
        self._tracker = tracker
        self._outbox = outbox

    @property
    def registry(self) -> MlflowRegistry:
        """MLflow's; what waits in the outbox is not in it yet."""
        return self._tracker.registry

    @contextmanager
    def run(self, name: str, *, tags: Mapping[str, str], resume_file: Path) -> Iterator[QueueingRun]:
        """Start a run, or go on with one; see `Tracker.run`. What waits from earlier runs is sent first.

        Raises:
            NotInstalledError: There is no mlflow.
        """
        with self._outbox.entry(name, tags, resume_file) as entry:
            run = QueueingRun(entry, self._tracker)
            if run.connect():
                for sent in self._outbox.send(self._tracker):
                    _LOG.log(logging.WARNING if sent.problem or sent.registered else logging.INFO, "%s", sent)
            try:
                yield run
                run.end("FINISHED")
            except BaseException:
                run.end("FAILED")
                raise


class QueueingRun:
    """A run that writes down each call before it is sent; described by `TrackedRun`.

    Args:
        entry: Where calls are written down.
        tracker: Where they are sent.
    """

    def __init__(self, entry: Entry, tracker: MlflowTracker) -> None:
        self._entry = entry
        self._tracker = tracker
        self._live: MlflowRun | None = None
        self._known: MlflowRun | None = None
        self._version: str | None = None

    @property
    def run_id(self) -> str | None:
        """Id of the run; None as long as MLflow has not seen it."""
        return self._known.run_id if self._known else None

    @property
    def url(self) -> str | None:
        """Web page of the run; None as long as MLflow has not seen it."""
        return self._known.url if self._known else None

    @property
    def registered_version(self) -> str | None:
        """Version of the model that was registered last; None as long as MLflow has not seen it."""
        return self._version

    def log_params(self, params: Mapping[str, object]) -> None:
        """Record parameters."""
        self._record("log_params", params={key: str(value) for key, value in params.items()})

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Record an epoch's figures."""
        self._record("log_epoch", epoch=epoch, metrics={key: float(value) for key, value in metrics.items()})

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Record final figures."""
        self.log_epoch(0, metrics)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags."""
        self._record("set_tags", tags=dict(tags))

    def log_inputs(self, inputs: Mapping[str, str], context: str = "training") -> None:
        """Record data sets."""
        self._record("log_inputs", inputs=dict(inputs), context=context)

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Upload a file, or keep a copy of it."""
        if self._try(lambda run: run.log_artifact(path, folder)):
            return
        self._entry.append("log_artifact", {"file": self._entry.keep(path), "folder": folder})

    def register_model(self, name: str, files: Sequence[Path], card: ModelCard) -> str | None:
        """Register a model, or keep a copy of its files; the version is None then."""
        self._version = None
        if self.connect() and self._try(lambda run: run.register_model(name, files, card)):
            self._note_version()
            return self._version
        kept = [self._entry.keep(file) for file in files]
        self._entry.append("register_model", {"name": name, "files": kept, "card": as_arguments(card)})
        return None

    def settle(self) -> str | None:
        """Send what is recorded; returns None, or where it waits and how it will be sent."""
        if self.connect() and self._try(lambda run: run.flush()):
            return None
        return f"queued in {self._entry.folder}; the next tracked run sends it, or `{SEND}`"

    def connect(self) -> bool:
        """Make sure that MLflow has all that is recorded so far; False if it does not answer."""
        if self._live is None:
            try:
                self._live = self._known = self._entry.open_on(self._tracker)
                self._note_version()
            except TrackingError as error:
                if isinstance(error, NotInstalledError) and self._known is None:
                    raise  # before anything is computed; later on the work that was done counts
                _LOG.warning("%s; what is recorded waits in %s", error, self._entry.folder)
        return self._live is not None

    def end(self, status: str) -> None:
        """Close the run; an entry that MLflow has whole is removed."""
        self._entry.append("end", {"status": status})
        if self._try(lambda run: run.end(status)):
            self._entry.remove()

    def _note_version(self) -> None:
        """Keep the version that the live run's model got, there and then or when what had waited was sent."""
        if self._live and self._live.registered_version:
            self._version = self._live.registered_version

    def _record(self, call: str, **arguments: Any) -> None:
        written: Call = self._entry.append(call, arguments)
        self._try(lambda run: self._entry.repeat(written, run))

    def _try(self, send: Any) -> bool:
        """Do something on the live run; after a failure the rest of what is recorded waits."""
        if self._live is None:
            return False
        try:
            send(self._live)
        except TrackingError as error:
            _LOG.warning("%s; what is recorded from now on waits in %s", error, self._entry.folder)
            self._live = None
            return False
        return True
