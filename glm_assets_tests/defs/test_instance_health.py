"""What the doctor sees of Dagster: versions, the history, and slots that a killed run has left."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import time
from types import SimpleNamespace

import dagster as dg
import pytest

from glm_assets.defs import instance_health, slots
from glm_assets.defs.ownership import OWNER_TAG
from glm_assets.defs.slots import open_instance, stale_slots
from glm_assets.doctor.findings import run_checks

_TEN_HOURS = 36_000.0
STORAGE = "storage: {sqlite: {base_dir: %s/storage}}\n"


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A folder with an empty history: to make its tables takes longer than a test."""
    folder = tmp_path_factory.mktemp("history")
    (folder / "dagster.yaml").write_text(STORAGE % folder)
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        instance.event_log_storage.set_concurrency_slots("gpu", 4)
    return folder


@pytest.fixture
def home(tmp_path, history, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    shutil.copytree(history, tmp_path, dirs_exist_ok=True)
    (tmp_path / "dagster.yaml").write_text(STORAGE % tmp_path)
    return tmp_path


def test_a_slot_of_a_run_that_is_gone_is_seen_and_left(home):
    with open_instance(home) as instance:
        run = instance.create_run_for_job(
            dg.GraphDefinition(name="job").to_job(), status=dg.DagsterRunStatus.FAILURE
        )
        instance.event_log_storage.claim_concurrency_slot("gpu", run.run_id, "step")
    found = {one.name: one for one in run_checks(instance_health.instance_checks(home))}
    assert found["Dagster"].status == "ok"
    assert "1 runs in SqliteEventLogStorage" in found["instance"].found
    assert (found["pool slots"].status, found["pool slots"].fix) == ("warning", "glm-assets free-slots")
    assert run.run_id[:8] in found["pool slots"].found
    with open_instance(home) as instance:
        assert [slot.run_id for slot in stale_slots(instance)] == [run.run_id]


@pytest.fixture
def started(home):
    """An instance, and a function that claims a slot of its pool `gpu` for a run with an owner."""
    with open_instance(home) as instance:

        def claim(owner: str | None, status=dg.DagsterRunStatus.STARTED) -> dg.DagsterRun:
            tags = {OWNER_TAG: owner} if owner else {}
            run = instance.create_run_for_job(dg.GraphDefinition(name="job").to_job(), status=status, tags=tags)
            instance.event_log_storage.claim_concurrency_slot("gpu", run.run_id, "step")
            return run

        yield instance, claim


def test_a_run_of_another_host_is_no_warning_until_it_has_ended(home, started):
    instance, claim = started
    elsewhere = claim("gpu7:4711:1.00")
    found = instance_health.check_slots(home)
    assert (found.status, found.fix) == ("ok", "")
    assert f"cannot be judged from here: gpu by run {elsewhere.run_id[:8]} on gpu7" in found.found
    unowned, ended = claim(None), claim("gpu7:4712:1.00", dg.DagsterRunStatus.FAILURE)
    dead = claim(f"{socket.gethostname()}:{os.getpid()}:1.00")  # another process had this id once
    found = instance_health.check_slots(home)
    assert found.status == "warning"
    assert all(run.run_id[:8] in found.found for run in (unowned, ended, dead))
    assert elsewhere.run_id[:8] not in found.found
    instance.run_storage.delete_run(ended.run_id)
    (deleted,) = (slot for slot in stale_slots(instance) if slot.run_id == ended.run_id)
    assert (deleted.is_elsewhere, deleted.age_seconds) == (False, None)


def test_a_long_step_that_logs_was_heard_of_when_it_logged(started, monkeypatch):
    instance, claim = started
    run = claim("gpu7:4711:1.00")
    now = time.time() + _TEN_HOURS
    monkeypatch.setattr(slots, "time", SimpleNamespace(time=lambda: now))
    (slot,) = stale_slots(instance)
    assert slot.age_seconds == pytest.approx(_TEN_HOURS, abs=60)
    for message, seconds in (("epoch 6", 300.0), ("epoch 7", 30.0)):
        instance.event_log_storage.store_event(
            dg.EventLogEntry(None, logging.INFO, message, run.run_id, now - seconds, None, "job")
        )
    (slot,) = stale_slots(instance)
    assert slot.age_seconds == pytest.approx(30.0, abs=1)


def test_a_fresh_checkout_is_looked_at_and_stays_as_it_is(tmp_path, monkeypatch, repository):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copy(repository / "dagster.yaml", tmp_path)
    found = {one.name: one for one in run_checks(instance_health.instance_checks(tmp_path))}
    assert "the first run makes its history" in found["instance"].found
    assert found["pool slots"].found == "there is no history yet"
    assert [path.name for path in tmp_path.iterdir()] == ["dagster.yaml"]
    with open_instance(tmp_path) as instance:
        instance.get_runs_count()
    assert "0 runs in" in instance_health.check_instance(tmp_path).found


def test_a_folder_without_an_instance(tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    assert instance_health.check_instance(tmp_path).status == "missing"
    assert instance_health.check_slots(tmp_path).status == "ok"


def test_packages_of_several_releases_are_a_warning(monkeypatch):
    monkeypatch.setattr(
        instance_health.metadata, "version", lambda name: "1.13.28" if name == "dagster" else "1.13.27"
    )
    found = instance_health.check_versions()
    assert (found.status, "dagster-webserver 1.13.27" in found.found) == ("warning", True)
