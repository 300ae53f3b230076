"""A database of MLflow's that is away costs as little as a server that is, and a missing driver is named."""

from __future__ import annotations

import sys
import time

import pytest
from sqlalchemy.exc import OperationalError

from glm_assets.errors import TrackingError
from glm_assets.tracking import MlflowTracker, open_tracker
from glm_assets.tracking.connection import Connection, NotInstalledError
from glm_assets.tracking.outbox import Outbox
from glm_assets_tests.faults.servers import free_port
from glm_assets_tests.tracking.stores import CARD

pytest.importorskip("mlflow")
pytest.importorskip("psycopg2")


def test_a_database_that_is_away_costs_no_time_and_its_runs_wait(tmp_path):
    uri = f"postgresql+psycopg2://glm:sesame@127.0.0.1:{free_port()}/mlflow"
    tracker = open_tracker(uri, "queue", tmp_path / "outbox")
    begin = time.monotonic()
    with tracker.run("head_v0", tags={}, resume_file=tmp_path / "run.json") as run:
        run.log_epoch(1, {"val/score": 0.5})
        assert run.register_model("head_v0", [], CARD) is None
        assert "queued in" in str(run.settle())
    with pytest.raises(TrackingError, match="no answer a moment ago") as told:
        tracker.registry.versions("head_v0")
    assert "sesame" not in str(told.value)
    assert time.monotonic() - begin < 10  # the import of MLflow is most of it
    assert len(Outbox(tmp_path / "outbox").waiting()) == 1


def test_the_registry_of_a_database_that_is_away_is_not_waited_for():
    registry = MlflowTracker(f"postgresql+psycopg2://127.0.0.1:{free_port()}/mlflow").registry
    begin = time.monotonic()
    with pytest.raises(TrackingError, match="failed: no answer"):
        registry.versions("head_v0")
    assert time.monotonic() - begin < 10


def test_a_database_that_answers_and_refuses_is_asked_once_a_minute(monkeypatch):
    monkeypatch.setattr(Connection, "look", lambda self: None)  # its port is open
    connection = Connection("postgresql+psycopg2://127.0.0.1/mlflow")
    with pytest.raises(TrackingError, match="the password is wrong"), connection.explained():
        raise OperationalError("select 1", {}, Exception("the password is wrong"))
    with pytest.raises(TrackingError, match="no answer a moment ago"), connection.explained():
        pytest.fail("it was asked again")


@pytest.mark.parametrize(
    "uri", ["postgresql:///mlflow?host=/run/postgresql", "postgresql:///mlflow", "mssql:///x"]
)
def test_an_address_without_a_port_is_left_to_the_driver(uri):
    Connection(uri).look()


def test_a_driver_that_is_not_installed_is_named_and_nothing_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(Connection, "look", lambda self: None)  # the database is there
    monkeypatch.setitem(sys.modules, "psycopg", None)
    tracker = open_tracker("postgresql+psycopg://127.0.0.1/mlflow", "queue", tmp_path / "outbox")
    with (
        pytest.raises(NotInstalledError, match=r"psycopg.*glm_assets\[postgres\].*postgresql\+psycopg2://"),
        tracker.run("head_v0", tags={}, resume_file=tmp_path / "run.json"),
    ):
        pytest.fail("it has started")
