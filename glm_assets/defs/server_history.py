"""Dagster's history on a PostgreSQL server, which several commands and machines may open for the first time at once.

Dagster looks for its tables and then creates them, each in a transaction of its own: of several processes that find
none, some fail because a table already exists.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import dagster as dg
import sqlalchemy
from dagster._serdes import ConfigurableClassData
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.pool import NullPool
from typing_extensions import override

from glm_assets.errors import SettingsError

try:
    from dagster_postgres import DagsterPostgresStorage
except ModuleNotFoundError as error:
    raise SettingsError(
        "Dagster's history is to be on a PostgreSQL server, but the extra `postgres` is not installed",
        fix="pip install -c constraints.txt -e '.[postgres]', or make demo EXTRAS=postgres",
    ) from error

VARIABLE = "DAGSTER_POSTGRES_URL"
# The driver that dagster-postgres is written for; SQLAlchemy's own choice for postgresql:// is another.
_DRIVER = "postgresql+psycopg2"
_SCHEMES = ("postgres", "postgresql", _DRIVER)
# Any number that nobody else locks in this database.
_LOCK = 0x676C6D
_CONNECT_SECONDS = 15


class SharedPostgresStorage(DagsterPostgresStorage):
    """Dagster's own PostgreSQL storage, opened by one process at a time.

    `deploy/postgres/dagster.yaml` names it; `postgres_url` is `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`.
    """

    @classmethod
    @override
    def config_type(cls) -> dict[str, Any]:
        """The address is all that is configured."""
        return {"postgres_url": dg.StringSource}

    @classmethod
    @override
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Open the storage; the first of several processes creates its tables while the others wait.

        Raises:
            SettingsError: The address is none of a PostgreSQL server, or no server answers there.
        """
        url = _parse(config_value["postgres_url"])
        with _alone(url):
            return cls(url.render_as_string(hide_password=False), inst_data=inst_data)


def _parse(address: str) -> sqlalchemy.URL:
    expected = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with special characters percent-encoded"
    try:
        url = sqlalchemy.make_url(address)
    except (ArgumentError, ValueError):  # its text would show the password
        raise SettingsError(f"{VARIABLE} is not an address", expected=expected) from None
    if url.drivername not in _SCHEMES:
        raise SettingsError(f"{VARIABLE} begins with {url.drivername}://", expected=expected)
    return url.set(drivername=_DRIVER)


@contextmanager
def _alone(url: sqlalchemy.URL) -> Iterator[None]:
    """Keep other processes that open the same database waiting until the block ends."""
    engine = sqlalchemy.create_engine(
        url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": _CONNECT_SECONDS}
    )
    try:
        connection = engine.connect()
    except OperationalError as error:
        raise SettingsError(
            f"Dagster's history: no connection to {url.host}:{url.port or 5432}, database {url.database!r}: "
            + " ".join(str(error.orig).split()),
            expected="a running PostgreSQL server with that database, user and password",
            fix=f"start it, or correct {VARIABLE}; docs/deploying.md",
        ) from None
    with connection:
        connection.execute(sqlalchemy.text("select pg_advisory_lock(:key)"), {"key": _LOCK})
        yield
