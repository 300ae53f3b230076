"""No password or token of a tracking address reaches a message, a link or a traceback."""

from __future__ import annotations

import logging
import traceback

import pytest

from glm_assets.errors import TrackingError
from glm_assets.tracking import MlflowTracker
from glm_assets.tracking.connection import Connection

pytest.importorskip("mlflow")


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://user:hunter2@host:5000", "http://***@host:5000"),
        ("mysql://u:hunter2/ss@h/db", "mysql://***@h/db"),
        ("postgresql+psycopg2://u:hunter2@ss@h:5432/db", "postgresql+psycopg2://***@h:5432/db"),
        ("mysql://u:hunter2?x=y@h/db", "mysql://***@h/db"),
        ("postgresql://h/db?user=me&password=hunter2", "postgresql://h/db?user=me&password=***"),
        ("postgresql://h/db?password=hunter2@ss&user=me", "postgresql://h/db?password=***&user=me"),
        (
            "postgresql://u:hunter2@h/db?sslmode=on&authToken=hunter2",
            "postgresql://***@h/db?sslmode=on&authToken=***",
        ),
        ("http://host:5000", "http://host:5000"),
        ("sqlite:////data/me@here/mlflow.db", "sqlite:////data/me@here/mlflow.db"),
    ],
)
def test_an_address_is_shown_without_its_secrets(uri, shown):
    connection = Connection(uri)
    assert connection.shown == shown
    said = connection.masked(f"cannot open {uri} (hunter2@ss, hunter2/ss, hunter2?x=y, hunter2) for me")
    if uri != shown:
        assert f"cannot open {shown} (" in said
    if "hunter2" in uri:
        assert said.count("hunter2") < 4
    assert "hunter2" not in connection.masked(f"cannot open {uri}/api")
    with pytest.raises(TrackingError) as refused:
        Connection(uri.replace(uri.split(":")[0], "ftp"))
    assert "hunter2" not in str(refused.value)


def test_a_password_is_hidden_decoded_as_well():
    assert Connection("http://u:p%40ssword@h").masked("no login with p@ssword or p%40ssword") == (
        "no login with *** or ***"
    )


def test_what_mlflow_says_and_its_traceback_hold_no_password(monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    caplog.set_level(logging.CRITICAL)
    tracker = MlflowTracker("http://user:hunter2@127.0.0.1:9/")
    with pytest.raises(
        TrackingError, match=r"tracking at http://\*\*\*@127\.0\.0\.1:9/ failed: .*\*\*\*@"
    ) as failed:
        tracker.registry.versions("head_v3")
    assert "hunter2" not in "".join(traceback.format_exception(failed.value))


def test_the_link_to_a_run_needs_no_password():
    assert Connection("https://user:hunter2@host:5000/base/").page == "https://host:5000/base"
