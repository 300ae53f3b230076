"""Runs in MLflow: one per training, reopened when a killed training goes on.

mlflow is imported when a run starts. Only its client is used, never its global active run, so that processes and
threads do not meet. Models are registered as plain files (safetensors, JSON); no module is pickled.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from glm_assets.errors import TrackingError
from glm_assets.storage.atomic import write_json

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

_LOG = logging.getLogger(__name__)

MODEL_FOLDER = "model"
_STORES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")
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
        scheme = urlsplit(uri).scheme.split("+")[0]
        if scheme not in _STORES:
            raise TrackingError(
                f"MLFLOW_TRACKING_URI={_without_password(uri)!r} names a file store or an unknown one",
                expected=f"a URI that starts with one of {', '.join(_STORES)}",
                fix="use sqlite:///<file>, or http://<host>:<port> of an mlflow server",
            )
        self.uri = uri
        self.experiment = experiment
        self._database = Path(urlsplit(uri).path[1:]) if scheme == "sqlite" else None
        self._artifacts = artifacts or (self._database.parent / "artifacts" if self._database else None)
        self._ui = uri.rstrip("/") if scheme in ("http", "https") else ui

    @contextmanager
    def run(self, name: str, *, tags: Mapping[str, str], resume_file: Path) -> Iterator[MlflowRun]:
        """Start a run, or go on with the one that `resume_file` names; see `Tracker.run`.

        Raises:
            TrackingError: The server refuses or cannot be reached.
        """
        with _explained(self.uri):
            run = self._open(name, tags, resume_file)
        try:
            yield run
            run.end("FINISHED")
        except BaseException:
            try:
                run.end("FAILED")
            except TrackingError:
                _LOG.warning("run %s could not be marked as failed", run.run_id, exc_info=True)
            raise

    def _open(self, name: str, tags: Mapping[str, str], resume_file: Path) -> MlflowRun:
        client, experiment_id = self._connect()
        if run := self._reopened(client, resume_file):
            run.set_tags(tags)
            return run
        run_id = client.create_run(experiment_id, run_name=name, tags=dict(tags)).info.run_id
        write_json(resume_file, {"run_id": run_id, "uri": _without_password(self.uri)})
        return MlflowRun(client, run_id, self.uri, self._ui)

    def _connect(self) -> tuple[MlflowClient, str]:
        """The client, and the id of the experiment."""
        with self._turn():
            client = _client(self.uri)
            found = client.get_experiment_by_name(self.experiment)
            if found is not None:
                return client, found.experiment_id
            artifacts = self._artifacts.resolve().as_uri() if self._artifacts else None
            return client, client.create_experiment(self.experiment, artifacts)

    def _turn(self) -> AbstractContextManager[object]:
        """One process at a time may open an sqlite database, as its first use builds the tables."""
        from filelock import FileLock

        if self._database is None:
            return nullcontext()
        self._database.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self._database.with_name(f".{self._database.name}.lock"))

    def _reopened(self, client: MlflowClient, resume_file: Path) -> MlflowRun | None:
        """The run of an earlier attempt, running again; None if there was none or this server no longer has it."""
        from mlflow.exceptions import MlflowException

        if not resume_file.exists():
            return None
        earlier = json.loads(resume_file.read_text(encoding="utf-8"))
        if earlier["uri"] != _without_password(self.uri):
            return None
        try:
            if client.get_run(earlier["run_id"]).info.lifecycle_stage != "active":
                return None
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        client.update_run(earlier["run_id"], status="RUNNING")
        return MlflowRun(client, earlier["run_id"], self.uri, self._ui)


class MlflowRun:
    """A run of MLflow; made by `MlflowTracker.run`, described by `TrackedRun`."""

    def __init__(self, client: MlflowClient, run_id: str, uri: str, ui: str) -> None:
        self._client = client
        self._uri = uri
        run = client.get_run(run_id)
        self.run_id = run_id
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
        with _explained(self._uri):
            self._client.log_batch(self.run_id, params=fresh)
        self._params |= set(params)

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Record an epoch's figures; they are sent every few seconds and when the run ends."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
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
        with _explained(self._uri):
            while self._pending:
                self._client.log_batch(self.run_id, metrics=self._pending[:_BATCH])
                self._pending = self._pending[_BATCH:]
        self._flushed = time.monotonic()

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, replacing older values."""
        from mlflow.entities import RunTag

        with _explained(self._uri):
            self._client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def log_inputs(self, inputs: Mapping[str, str]) -> None:
        """Record the data the run is made from; the server takes 36 characters of a version as its digest."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        context = [InputTag("mlflow.data.context", "training")]
        datasets = [
            DatasetInput(
                Dataset(name, version[:_DIGEST_LENGTH], "glm_assets", json.dumps({"data_version": version})),
                context,
            )
            for name, version in inputs.items()
        ]
        with _explained(self._uri):
            self._client.log_inputs(self.run_id, datasets)

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Upload a file, into a folder of the run's artifacts."""
        with _explained(self._uri):
            self._client.log_artifact(self.run_id, str(path), folder)

    def register_model(self, name: str, files: Sequence[Path]) -> str:
        """Upload a model's files to the folder `model`, as a version of a registered model, once per run."""
        for file in files:
            self.log_artifact(file, MODEL_FOLDER)
        with _explained(self._uri):
            if not self._client.search_registered_models(f"name='{name}'"):
                self._create_registered_model(name)
            versions = self._client.search_model_versions(f"name='{name}' and run_id='{self.run_id}'")
            if versions:
                return str(versions[0].version)
            source = f"{self._artifact_uri}/{MODEL_FOLDER}"
            return str(self._client.create_model_version(name, source, self.run_id, await_creation_for=0).version)

    def end(self, status: str) -> None:
        """Send what is left and close the run as `FINISHED` or `FAILED`."""
        self.flush()
        with _explained(self._uri):
            self._client.set_terminated(self.run_id, status)

    def _create_registered_model(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was faster
                raise


def _client(uri: str) -> MlflowClient:
    """A client without telemetry, progress bars and long retries, unless the environment asks for them."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _without_password(uri: str) -> str:
    return re.sub(r"//[^/@]*@", "//***@", uri)


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Turn what MLflow raises into a `TrackingError` that names the server and a fix."""
    try:
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise TrackingError("mlflow is not installed", fix="pip install 'glm_assets[tracking]'") from error
    try:
        yield
    except MlflowException as error:
        raise TrackingError(
            f"tracking at {_without_password(uri)} failed: {error}",
            fix="start or mend that server, or set MLFLOW_TRACKING_URI; then run again, the training goes on",
        ) from error
