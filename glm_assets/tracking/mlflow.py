"""Runs in MLflow: one per training, reopened when a killed training goes on.

Models are registered as plain files (safetensors, JSON) that MLflow loads through a module of ours; nothing is
pickled.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from glm_assets.errors import TrackingError
from glm_assets.storage.atomic import write_json
from glm_assets.tracking.connection import Connection
from glm_assets.tracking.model_files import MODEL_FOLDER, digest_tags, write_model_files
from glm_assets.tracking.models import ModelCard
from glm_assets.tracking.registry import MlflowRegistry

if TYPE_CHECKING:
    from mlflow.entities import Metric

_LOG = logging.getLogger(__name__)

ONCE = "glm/outbox_entry"
_LOCAL_UI = "http://127.0.0.1:5000"
_FLUSH_SECONDS = 5.0
_BATCH = 1000  # most metrics the server takes at once
_DIGEST_LENGTH = 36  # longest data set digest the server takes


class MlflowTracker:
    """Runs on an MLflow server or in its database.

    Args:
        uri: Tracking URI: a server or a database; MLflow's file store is refused.
        experiment: Made on first use.
        artifacts: Where artifacts go when `uri` is a database; by default `artifacts` beside an sqlite file. A
            server decides for itself.
        ui: Base of the links to runs in a database, where `mlflow ui` shows them.

    Raises:
        TrackingError: The URI names a file store or an unknown one.
    """

    def __init__(
        self, uri: str, *, experiment: str = "glm_assets", artifacts: Path | None = None, ui: str = _LOCAL_UI
    ) -> None:
        self._connection = Connection(uri)
        self.uri = uri
        self.experiment = experiment
        database = self._connection.database
        self._artifacts = artifacts or (database.parent / "artifacts" if database else None)
        self._ui = self._connection.page if self._connection.web else ui

    @property
    def registry(self) -> MlflowRegistry:
        """The registered models of the same server; nothing is asked of it yet."""
        return MlflowRegistry(self.uri, self._connection)

    def look(self) -> None:
        """Make sure within seconds that the server answers.

        Raises:
            TrackingError: It does not.
        """
        self._connection.look()

    @contextmanager
    def run(self, name: str, *, tags: Mapping[str, str], resume_file: Path) -> Iterator[MlflowRun]:
        """Start a run, or go on with the one that `resume_file` names; see `Tracker.run`.

        Raises:
            TrackingError: The server refuses or cannot be reached.
        """
        run = self.open_run(name, tags=tags, resume_file=resume_file)
        try:
            yield run
            run.end("FINISHED")
        except BaseException:
            try:
                run.end("FAILED")
            except TrackingError:
                _LOG.warning("run %s could not be marked as failed", run.run_id, exc_info=True)
            raise

    def open_run(
        self, name: str, *, tags: Mapping[str, str], resume_file: Path, start_ms: int | None = None
    ) -> MlflowRun:
        """Start a run, or go on with the one that `resume_file` names; whoever opens it ends it.

        Args:
            name: Name of the run.
            tags: Set on the run. One that has the tag `ONCE` is not made twice, even if its file got lost.
            resume_file: Keeps the run's id.
            start_ms: When a new run began, in milliseconds since 1970; now by default.

        Raises:
            TrackingError: The server refuses or cannot be reached; it costs seconds to know.
        """
        self.look()
        with self._connection.explained():
            return self._open(name, tags, resume_file, start_ms)

    def _open(self, name: str, tags: Mapping[str, str], resume_file: Path, start_ms: int | None) -> MlflowRun:
        client = self._connection.client
        if run := self._reopened(resume_file):
            run.set_tags(tags)
            return run
        experiment = self._experiment_id()
        run_id = (
            self._made_before(experiment, tags)
            or client.create_run(experiment, start_time=start_ms, run_name=name, tags=dict(tags)).info.run_id
        )
        write_json(resume_file, {"run_id": run_id, "uri": self._connection.shown})
        return MlflowRun(self._connection, run_id, self._ui)

    def _made_before(self, experiment: str, tags: Mapping[str, str]) -> str | None:
        """The run with the same tag `ONCE`: whoever made it was killed before it could note its id."""
        if ONCE not in tags:
            return None
        found = self._connection.client.search_runs([experiment], f"tags.`{ONCE}` = '{tags[ONCE]}'", max_results=1)
        return found[0].info.run_id if found else None

    def _experiment_id(self) -> str:
        client = self._connection.client
        with self._connection.turn():
            if found := client.get_experiment_by_name(self.experiment):
                return found.experiment_id
            artifacts = self._artifacts.resolve().as_uri() if self._artifacts else None
            return client.create_experiment(self.experiment, artifacts)

    def _reopened(self, resume_file: Path) -> MlflowRun | None:
        """The run of an earlier attempt, running again; None if there was none or this server no longer has it."""
        from mlflow.exceptions import MlflowException

        if not resume_file.exists():
            return None
        earlier = json.loads(resume_file.read_text(encoding="utf-8"))
        if earlier["uri"] != self._connection.shown:
            return None
        client = self._connection.client
        try:
            if client.get_run(earlier["run_id"]).info.lifecycle_stage != "active":
                return None
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        client.update_run(earlier["run_id"], status="RUNNING")
        return MlflowRun(self._connection, earlier["run_id"], self._ui)


class MlflowRun:
    """A run of MLflow; made by `MlflowTracker.run`, described by `TrackedRun`."""

    def __init__(self, connection: Connection, run_id: str, ui: str) -> None:
        self._connection = connection
        self._client = client = connection.client
        run = client.get_run(run_id)
        self.run_id = run_id
        self.registered_version: str | None = None
        self.url = f"{ui}/#/experiments/{run.info.experiment_id}/runs/{run_id}"
        self._artifact_uri = run.info.artifact_uri
        self._params = set(run.data.params)
        self._logged = {
            (metric.key, metric.step)
            for key in run.data.metrics
            for metric in client.get_metric_history(run_id, key)
        }
        self._pending: list[Metric] = []
        self._flushed = time.monotonic()

    def log_params(self, params: Mapping[str, object]) -> None:
        """Record parameters; those recorded by an earlier attempt stay as they are."""
        from mlflow.entities import Param

        fresh = [Param(key, str(value)) for key, value in params.items() if key not in self._params]
        with self._connection.explained():
            self._client.log_batch(self.run_id, params=fresh)
        self._params |= set(params)

    def log_epoch(self, epoch: int, metrics: Mapping[str, float], at_ms: int | None = None) -> None:
        """Record an epoch's figures; they are sent every few seconds and when the run ends.

        Args:
            epoch: The figures' step.
            metrics: Name to figure.
            at_ms: When they were found, in milliseconds since 1970; now by default.
        """
        from mlflow.entities import Metric

        now = at_ms or int(time.time() * 1000)
        for key, value in metrics.items():
            if (key, epoch) not in self._logged:
                self._logged.add((key, epoch))
                self._pending.append(Metric(key, value, now, epoch))
        if time.monotonic() - self._flushed >= _FLUSH_SECONDS:
            self.flush()

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Record final figures, as step 0."""
        self.log_epoch(0, metrics)

    def flush(self) -> None:
        """Send what has been recorded so far."""
        with self._connection.explained():
            while self._pending:
                self._client.log_batch(self.run_id, metrics=self._pending[:_BATCH])
                self._pending = self._pending[_BATCH:]
        self._flushed = time.monotonic()

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, replacing older values."""
        from mlflow.entities import RunTag

        with self._connection.explained():
            self._client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def log_inputs(self, inputs: Mapping[str, str], context: str = "training") -> None:
        """Record data sets; the server takes 36 characters of a version as its digest, the source has all."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        tags = [InputTag("mlflow.data.context", context)]
        datasets = [
            DatasetInput(
                Dataset(name, version[:_DIGEST_LENGTH], "glm_assets", json.dumps({"data_version": version})),
                tags,
            )
            for name, version in inputs.items()
        ]
        with self._connection.explained():
            self._client.log_inputs(self.run_id, datasets)

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Upload a file, into a folder of the run's artifacts."""
        with self._connection.explained():
            self._client.log_artifact(self.run_id, str(path), folder)

    def register_model(self, name: str, files: Sequence[Path], card: ModelCard) -> str:
        """Upload a model's files to the folder `model`, as a version of a registered model, once per run.

        A version that this run has registered already is left as it is, whatever happened since.
        """
        with self._connection.explained():
            if versions := self._client.search_model_versions(f"name='{name}' and run_id='{self.run_id}'"):
                self.registered_version = str(versions[0].version)
                return self.registered_version
        with tempfile.TemporaryDirectory() as made:
            uploaded = [*files, *write_model_files(card, Path(made), self.run_id)]
            for file in uploaded:
                self.log_artifact(file, MODEL_FOLDER)
            tags = {"kind": card.kind} | digest_tags(uploaded)
        with self._connection.explained():
            if not self._client.search_registered_models(f"name='{name}'"):
                self._create_registered_model(name)
            source = f"{self._artifact_uri}/{MODEL_FOLDER}"
            made_version = self._client.create_model_version(
                name, source, self.run_id, tags=tags, await_creation_for=0
            )
        self.registered_version = str(made_version.version)
        return self.registered_version

    def settle(self) -> str | None:
        """Send what is left; nothing waits then."""
        self.flush()

    def end(self, status: str, at_ms: int | None = None) -> None:
        """Send what is left and close the run as `FINISHED` or `FAILED`, now or when it ended."""
        self.flush()
        with self._connection.explained():
            self._client.set_terminated(self.run_id, status, at_ms)

    def _create_registered_model(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was faster
                raise
