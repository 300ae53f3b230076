"""A way to an MLflow server or its database: which addresses are taken, how a client is made, how faults are told.

mlflow is imported when a client is made. Only the client is used, never MLflow's global state, so that processes and
threads do not meet.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from glm_assets.errors import TrackingError
from glm_assets.tracking.secrets import bare, mask, mask_in

if TYPE_CHECKING:
    from mlflow import MlflowClient

_STORES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")


class Connection:
    """An MLflow server or its database.

    Args:
        uri: Tracking URI; MLflow's file store is refused.

    Attributes:
        uri: As it was given.
        shown: The same without a user, a password and other secrets.
        page: The server's own pages: without user and query.
        database: The file of an sqlite database, or None.
        web: Whether `uri` is a server's, which then has its own pages.

    Raises:
        TrackingError: The URI names a file store or an unknown one.
    """

    def __init__(self, uri: str) -> None:
        scheme = urlsplit(uri).scheme.split("+")[0]
        self.uri = uri
        self.shown = mask(uri)
        self.page = bare(uri).rstrip("/")
        if scheme not in _STORES:
            raise TrackingError(
                f"MLFLOW_TRACKING_URI={self.shown!r} names a file store or an unknown one",
                expected=f"a URI that starts with one of {', '.join(_STORES)}",
                fix="use sqlite:///<file>, or http://<host>:<port> of an mlflow server",
            )
        self.database = Path(urlsplit(uri).path[1:]) if scheme == "sqlite" else None
        self.web = scheme in ("http", "https")

    @cached_property
    def client(self) -> MlflowClient:
        """A client without telemetry, progress bars and long retries, unless the environment asks for them."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        with self.turn():
            return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def turn(self) -> AbstractContextManager[object]:
        """One process at a time may open an sqlite database, as its first use builds the tables."""
        from filelock import FileLock

        if self.database is None:
            return nullcontext()
        self.database.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self.database.with_name(f".{self.database.name}.lock"))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what MLflow raises into a `TrackingError` that names the server and a fix."""
        try:
            from mlflow.exceptions import MlflowException
        except ImportError as error:
            raise TrackingError("mlflow is not installed", fix="pip install 'glm_assets[tracking]'") from error
        try:
            yield
        except MlflowException as error:
            raise TrackingError(
                f"tracking at {self.shown} failed: {self.masked(str(error))}",
                fix="start or mend that server, or set MLFLOW_TRACKING_URI; then run again, a training goes on",
            ) from self.cause(error)

    def masked(self, text: str) -> str:
        """MLflow's own words without this URI's secrets."""
        return mask_in(text, self.uri)

    def cause(self, error: Exception) -> Exception | None:
        """What a traceback may show as the reason: None where its words hold a secret."""
        return error if self.masked(str(error)) == str(error) else None
