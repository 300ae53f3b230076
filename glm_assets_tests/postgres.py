"""A real PostgreSQL server for tests: Debian's, in a temporary folder, on a free port of this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from glm_assets_tests.webservers import free_port

USER, PASSWORD = "glm", "pass/word"  # the slash must be quoted in an address

# Nothing here must survive a power cut.
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
# However this process ends, `read` then meets the end of the pipe. SIGINT: sessions are cut off, files are closed.
_WHILE_READ = '"$@" & read -r _; kill -INT $!; wait; rm -rf "$0"'


class PostgresServer:
    """A running server.

    Args:
        port: Where it listens on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    def url(self, database: str = "postgres") -> str:
        """Address of a database, as a user sets it."""
        return f"postgresql://{USER}:{PASSWORD.replace('/', '%2F')}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Create an empty database and return its address."""
        self.execute(f'create database "{database}"')
        return self.url(database)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        import psycopg2

        connection = psycopg2.connect(self.url(database))
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()


def find_programs() -> Path:
    """Folder of `initdb` and `postgres`; the test is skipped where there is none."""
    found = shutil.which("initdb") or max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None)
    if found is None:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    return Path(found).parent


@contextmanager
def serve_postgres() -> Iterator[PostgresServer]:
    """Start a server of one superuser with a password; it and its files are gone at the end, or with this process."""
    programs = find_programs()
    identity = _identity()
    folder = Path(tempfile.mkdtemp(prefix="glm_postgres_"))  # short: a socket's path has at most 107 bytes
    try:
        password = folder / "password"
        password.write_text(PASSWORD)
        if identity:
            for path in (folder, password):
                os.chown(path, identity["user"], identity["group"])
        cluster = folder / "cluster"
        initdb = [programs / "initdb", "-D", cluster, "-U", USER, "-A", "scram-sha-256", "--pwfile", password]
        initdb += ["-E", "UTF8", "--no-locale", "--no-sync"]
        subprocess.run(initdb, cwd=folder, check=True, stdout=subprocess.DEVNULL, **identity)
        server = PostgresServer(free_port())
        command = [
            "sh",
            "-c",
            _WHILE_READ,
            folder,
            programs / "postgres",
            "-D",
            cluster,
            "-h",
            "127.0.0.1",
            "-p",
            str(server.port),
            "-k",
            folder,
        ]
        command += [part for setting in _FAST for part in ("-c", setting)]
        with (folder / "log").open("w") as log:
            keeper = subprocess.Popen(
                command, cwd="/", stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, **identity
            )
        try:
            _await(server, folder / "log")
            yield server
        finally:
            keeper.communicate(timeout=60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _identity() -> Mapping[str, Any]:
    """As whom the server runs: it refuses to be root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _await(server: PostgresServer, log: Path) -> None:
    import psycopg2

    deadline = time.monotonic() + 60
    while True:
        try:
            server.execute("select 1")
            return
        except psycopg2.OperationalError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
