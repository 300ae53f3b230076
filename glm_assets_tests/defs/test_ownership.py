"""A run whose process was killed leaves nothing behind: its pool slots come free and its steps end."""

from __future__ import annotations

import socket
import subprocess
import threading
import time

import dagster as dg
import psutil
import pytest
from dagster._core.test_utils import create_run_for_test

from glm_assets.defs import ownership
from glm_assets.defs.ownership import claim_run, end_with_parent, release_dead_runs, releasing_dead_runs

POOL = "gpu"


@pytest.fixture
def instance(tmp_path):
    """A persistent instance whose pool admits one step."""
    pools = {"concurrency": {"pools": {"granularity": "op", "default_limit": 1}}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=pools) as instance:
        instance.event_log_storage.initialize_concurrency_limit_to_default(POOL)
        yield instance


@pytest.fixture
def stopped() -> str:
    """Tag value of an owner on this host that has ended."""
    with subprocess.Popen(["sleep", "60"]) as process:
        owner = owner_of(process.pid)
        process.kill()
    return owner


def owner_of(pid: int, *, host: str | None = None, older_by: float = 0.0) -> str:
    return f"{host or socket.gethostname()}:{pid}:{psutil.Process(pid).create_time() - older_by:.2f}"


def running(instance, owner: str | None) -> str:
    """A started run that claims the pool; returns its id."""
    tags = {"glm/owner": owner} if owner else {}
    run = create_run_for_test(instance, job_name="embed", status=dg.DagsterRunStatus.STARTED, tags=tags)
    claims_slot(instance, run.run_id)
    return run.run_id


def claims_slot(instance, run_id: str) -> bool:
    """Ask for a slot of the pool, as an executor does again and again."""
    return instance.event_log_storage.claim_concurrency_slot(POOL, run_id, "variant_embeddings").is_claimed


def holders(instance) -> tuple[set[str], set[str]]:
    """Runs that hold a slot of the pool, and runs that wait for one."""
    info = instance.event_log_storage.get_concurrency_info(POOL)
    return info.active_run_ids, info.pending_run_ids


def status(instance, run_id: str) -> dg.DagsterRunStatus:
    return instance.get_run_by_id(run_id).status


def test_runs_whose_process_is_gone_fail_and_the_slot_goes_to_the_next_living_one(instance, stopped):
    holding, waiting = running(instance, stopped), running(instance, stopped)
    living = running(instance, owner_of(psutil.Process().pid))
    assert holders(instance) == ({holding}, {waiting, living})
    assert not claims_slot(instance, living)
    assert set(release_dead_runs(instance)) == {holding, waiting}
    assert status(instance, holding) == status(instance, waiting) == dg.DagsterRunStatus.FAILURE
    assert claims_slot(instance, living)
    assert holders(instance) == ({living}, set())
    assert release_dead_runs(instance) == []


@pytest.mark.parametrize("whose", ["living", "other host", "nobody"])
def test_a_run_that_may_live_is_left_alone(instance, stopped, whose):
    here = psutil.Process().pid
    _, pid, created = stopped.split(":")
    owner = {"living": owner_of(here), "other host": f"elsewhere:{pid}:{created}", "nobody": None}[whose]
    run_id = running(instance, owner)
    assert release_dead_runs(instance) == []
    assert status(instance, run_id) == dg.DagsterRunStatus.STARTED
    assert holders(instance) == ({run_id}, set())


def test_a_process_that_took_over_the_id_of_a_dead_one_is_not_the_owner(instance):
    dead = running(instance, owner_of(psutil.Process().pid, older_by=60))
    assert release_dead_runs(instance) == [dead]
    assert status(instance, dead) == dg.DagsterRunStatus.FAILURE


def test_slots_that_a_finished_or_deleted_run_left_are_freed(instance):
    finished = running(instance, None)
    instance.report_run_canceled(instance.get_run_by_id(finished))
    assert release_dead_runs(instance) == [finished]
    assert status(instance, finished) == dg.DagsterRunStatus.CANCELED
    deleted = running(instance, None)
    instance.run_storage.delete_run(deleted)
    assert release_dead_runs(instance) == [deleted]
    assert holders(instance) == (set(), set())


def test_a_claimed_run_belongs_to_this_process(instance):
    run_id = running(instance, None)
    claim_run(instance, run_id)
    assert instance.get_run_by_id(run_id).tags["glm/owner"] == owner_of(psutil.Process().pid)
    assert release_dead_runs(instance) == []


def test_a_run_that_dies_while_another_waits_is_released(instance, monkeypatch):
    monkeypatch.setattr(ownership, "_INTERVAL_SECONDS", 0.05)
    with subprocess.Popen(["sleep", "60"]) as process:
        run_id = running(instance, owner_of(process.pid))
        with releasing_dead_runs(instance):
            assert status(instance, run_id) == dg.DagsterRunStatus.STARTED
            process.kill()
            process.wait()
            deadline = time.monotonic() + 30
            while status(instance, run_id) != dg.DagsterRunStatus.FAILURE:
                assert time.monotonic() < deadline
                time.sleep(0.05)
    assert holders(instance) == (set(), set())


def test_outside_a_child_process_nothing_watches_the_parent():
    end_with_parent()
    assert "end-with-parent" not in {thread.name for thread in threading.enumerate()}
