"""What a training logs through, and an implementation that records nothing. MLflow is in `mlflow`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from glm_assets.tracking.models import ModelCard, NullRegistry, Registry


class TrackedRun(Protocol):
    """One training as a tracking server sees it."""

    @property
    def run_id(self) -> str | None:
        """Id of the run; None where nothing is tracked."""
        ...

    @property
    def url(self) -> str | None:
        """Web page of the run; None where nothing is tracked."""
        ...

    @property
    def registered_version(self) -> str | None:
        """Version of the model that was registered last; None where nothing is tracked, or not yet."""
        ...

    def log_params(self, params: Mapping[str, object]) -> None:
        """Record what the run was asked to do; the same values may be given again."""
        ...

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Record an epoch's figures; an epoch that is recorded already is left as it is."""
        ...

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Record final figures."""
        ...

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, replacing older values."""
        ...

    def log_inputs(self, inputs: Mapping[str, str], context: str = "training") -> None:
        """Record data sets.

        Args:
            inputs: Name to data version.
            context: What they were used for: `training` or `evaluation`.
        """
        ...

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Upload a file, into a folder of the run's artifacts."""
        ...

    def register_model(self, name: str, files: Sequence[Path], card: ModelCard) -> str | None:
        """Upload a model's files as a version of a registered model, once per run.

        Args:
            name: Of the registered model; made if there is none.
            files: Its weights and JSON files, of different names.
            card: What it takes and gives, and who loads it.

        Returns:
            The version; None where nothing is tracked, or not yet.
        """
        ...

    def settle(self) -> str | None:
        """Send what is recorded; returns None, or where it waits and how it will be sent."""
        ...


class Tracker(Protocol):
    """Where runs are recorded."""

    @property
    def registry(self) -> Registry:
        """The models that runs have registered; nothing is asked of the server until the registry is."""
        ...

    def run(self, name: str, *, tags: Mapping[str, str], resume_file: Path) -> AbstractContextManager[TrackedRun]:
        """Start a run, or go on with the one that `resume_file` names.

        The run ends as finished when the block does, as failed when it raises, and stays open when it is killed.

        Args:
            name: Name of the run.
            tags: Set on the run, again when it goes on.
            resume_file: Keeps the run's id beside the checkpoints it belongs to.
        """
        ...


class NullRun:
    """A run that records nothing."""

    run_id: str | None = None
    url: str | None = None
    registered_version: str | None = None

    def log_params(self, params: Mapping[str, object]) -> None:
        """Record nothing."""

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Record nothing."""

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Record nothing."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Record nothing."""

    def log_inputs(self, inputs: Mapping[str, str], context: str = "training") -> None:
        """Record nothing."""

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Record nothing."""

    def register_model(self, name: str, files: Sequence[Path], card: ModelCard) -> str | None:
        """Register nothing."""

    def settle(self) -> str | None:
        """Nothing waits."""


class NullTracker:
    """A tracker that records nothing."""

    registry: Registry = NullRegistry()

    def run(self, name: str, *, tags: Mapping[str, str], resume_file: Path) -> AbstractContextManager[NullRun]:  # noqa: ARG002
        """A run that records nothing."""
        return nullcontext(NullRun())
