"""A way to an MLflow server or its database: which addresses are taken, how a client is made, how faults are told.

mlflow is imported when a client is made. Only the client is used, never MLflow's global state, so that processes and
threads do not meet.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from glm_assets.errors import TrackingError
from glm_assets.tracking.secrets import bare, mask, mask_in

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SERVERS = ("http", "https", "databricks")
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_STORES = (*_SERVERS, "sqlite", *_PORTS)

# What a server that is down or silent may cost: a look of 5 s, or two tries of a request of 8 s each, and then no
# request at all for a while. The environment can ask for more patience.
_LOOK_SECONDS = 5.0
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "8"}
_LEFT_ALONE_SECONDS = 60.0
_BAD_GATEWAY = 502
_FIX = (
    "start or mend that server, set MLFLOW_TRACKING_URI to another, or let GLM_TRACKING=queue keep what is recorded; "
    "then run again, a training goes on"
)


class NotInstalledError(TrackingError):
    """There is no mlflow here, or no driver for its database: waiting for a server would not help."""


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
        scheme, _, driver = urlsplit(uri).scheme.partition("+")
        self.uri = uri
        self.shown = mask(uri)
        self.page = bare(uri).rstrip("/")
        if scheme not in _STORES or (driver and scheme in _SERVERS):
            raise TrackingError(
                f"MLFLOW_TRACKING_URI={self.shown!r} names a file store or an unknown one",
                expected=f"a URI that starts with one of {', '.join(_STORES)}",
                fix="use sqlite:///<file>, or http://<host>:<port> of an mlflow server",
            )
        self.database = Path(urlsplit(uri).path[1:]) if scheme == "sqlite" else None
        self.web = scheme in ("http", "https")
        self._default_port = _PORTS.get(scheme)
        self._silent_since: float | None = None

    @cached_property
    def client(self) -> MlflowClient:
        """A client without telemetry, progress bars and long retries, unless the environment asks for them."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        if not self.web:  # MLflow itself knocks at a database that is away for 100 s
            self.look()
        with self.turn():
            return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def turn(self) -> AbstractContextManager[object]:
        """One process at a time may open an sqlite database, as its first use builds the tables."""
        from filelock import FileLock

        if self.database is None:
            return nullcontext()
        self.database.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self.database.with_name(f".{self.database.name}.lock"))

    def look(self) -> None:
        """Make sure within seconds that the server answers, or that the database's port does.

        Raises:
            TrackingError: It does not, or not as itself.
        """
        if self.web:
            self._look_at_server()
        elif self._default_port:
            self._look_at_database(self._default_port)

    def _look_at_server(self) -> None:
        import httpx

        try:
            status = httpx.get(f"{self.page}/health", timeout=_LOOK_SECONDS).status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._silent_since = time.monotonic()
            raise self._unanswered(f"no answer ({type(error).__name__}: {error})") from self.cause(error)
        if status >= _BAD_GATEWAY:
            self._silent_since = time.monotonic()
            raise self._unanswered(f"it answers {status}")
        self._silent_since = None

    def _look_at_database(self, default_port: int) -> None:
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(self.uri)
        except ArgumentError:  # MLflow says what is wrong
            return
        if not url.host or url.host.startswith("/"):  # a socket, or an address that only the driver reads
            return
        try:
            socket.create_connection((url.host, url.port or default_port), timeout=_LOOK_SECONDS).close()
        except OSError as error:
            self._silent_since = time.monotonic()
            raise self._unanswered(f"no answer ({type(error).__name__}: {error})") from self.cause(error)
        self._silent_since = None

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what MLflow raises into a `TrackingError` that names the server and a fix.

        A server that has just been silent is not asked again for a minute.
        """
        try:
            from mlflow.exceptions import MlflowException
            from requests import RequestException
            from sqlalchemy.exc import SQLAlchemyError
        except ImportError as error:
            raise NotInstalledError("mlflow is not installed", fix="pip install 'glm_assets[tracking]'") from error
        if self._silent_since and time.monotonic() - self._silent_since < _LEFT_ALONE_SECONDS:
            raise self._unanswered("no answer a moment ago")
        try:
            yield
        except ImportError as error:
            raise self._lacking(error) from error
        except (MlflowException, RequestException, SQLAlchemyError) as error:
            self._notice_silence()
            raise TrackingError(
                f"tracking at {self.shown} failed: {self.masked(str(error))}", fix=_FIX
            ) from self.cause(error)

    def _notice_silence(self) -> None:
        if self._default_port and "client" not in self.__dict__:  # MLflow has knocked at that database for long
            self._silent_since = time.monotonic()
            return
        with suppress(TrackingError):
            self.look()

    def _lacking(self, error: ImportError) -> NotInstalledError:
        return NotInstalledError(
            f"tracking at {self.shown} needs a library that is not installed ({error.name or error})",
            fix="install it; PostgreSQL takes pip install 'glm_assets[postgres]' and "
            "MLFLOW_TRACKING_URI=postgresql+psycopg2://...",
        )

    def _unanswered(self, what: str) -> TrackingError:
        return TrackingError(f"tracking at {self.shown} failed: {self.masked(what)}", fix=_FIX)

    def masked(self, text: str) -> str:
        """MLflow's own words without this URI's secrets."""
        return mask_in(text, self.uri)

    def cause(self, error: Exception) -> Exception | None:
        """What a traceback may show as the reason: None where its words hold a secret."""
        return error if self.masked(str(error)) == str(error) else None
