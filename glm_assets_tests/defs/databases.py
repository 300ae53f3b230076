"""What Dagster's histories raise when their database is away."""

from __future__ import annotations


def _absent() -> Exception:
    """What dagster-postgres raises after its own tries; it is no error of SQLAlchemy's."""
    text = "too many retries for DB connection"
    try:
        from dagster_postgres.utils import DagsterPostgresException
    except ImportError:
        return Exception(text)
    return DagsterPostgresException(text)


ABSENT = _absent()
