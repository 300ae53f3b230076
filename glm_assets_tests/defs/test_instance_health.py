"""What the doctor sees of Dagster: versions, the history, and slots that a killed run has left."""

from __future__ import annotations

import dagster as dg
import pytest

from glm_assets.defs import instance_health
from glm_assets.defs.slots import open_instance, stale_slots
from glm_assets.doctor.findings import run_checks

STORAGE = "storage: {sqlite: {base_dir: %s/storage}}\n"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    (tmp_path / "dagster.yaml").write_text(STORAGE % tmp_path)
    return tmp_path


def test_a_slot_of_a_run_that_is_gone_is_seen_and_left(home):
    with open_instance(home) as instance:
        storage = instance.event_log_storage
        storage.set_concurrency_slots("gpu", 1)
        run = instance.create_run_for_job(
            dg.GraphDefinition(name="job").to_job(), status=dg.DagsterRunStatus.FAILURE
        )
        storage.claim_concurrency_slot("gpu", run.run_id, "step")
    found = {one.name: one for one in run_checks(instance_health.instance_checks(home))}
    assert found["Dagster"].status == "ok"
    assert "1 runs in SqliteEventLogStorage" in found["instance"].found
    assert (found["pool slots"].status, found["pool slots"].fix) == ("warning", "glm-assets free-slots")
    assert run.run_id[:8] in found["pool slots"].found
    with open_instance(home) as instance:
        assert [slot.run_id for slot in stale_slots(instance)] == [run.run_id]


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
