"""Pool slots that killed runs on other hosts have left: they are listed, and freed when a person says so."""

from __future__ import annotations

import os
import socket

import dagster as dg
import psutil
import pytest
from dagster._core.test_utils import create_run_for_test

from glm_assets import cli
from glm_assets.defs.slots import stale_slots

POOL = "gpu"


@pytest.fixture
def instance(tmp_path, monkeypatch):
    """An instance in a folder of its own, as `glm-assets` finds it there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("concurrency: {pools: {granularity: op, default_limit: 1}}\n")
    with dg.DagsterInstance.get() as instance:
        instance.event_log_storage.initialize_concurrency_limit_to_default(POOL)
        yield instance


def claim(instance, owner: str | None) -> str:
    tags = {"glm/owner": owner} if owner else {}
    run = create_run_for_test(instance, job_name="embed", status=dg.DagsterRunStatus.STARTED, tags=tags)
    instance.event_log_storage.claim_concurrency_slot(POOL, run.run_id, "variant_embeddings")
    return run.run_id


def here(pid: int | None = None) -> str:
    pid = pid or os.getpid()
    return f"{socket.gethostname()}:{pid}:{psutil.Process(pid).create_time():.2f}"


def holders(instance) -> set[str]:
    info = instance.event_log_storage.get_concurrency_info(POOL)
    return {step.run_id for step in [*info.claimed_slots, *info.pending_steps]}


def test_slots_of_other_hosts_and_of_nobody_are_stale_and_those_of_the_living_are_not(instance):
    elsewhere, nobody, _ = claim(instance, "gpu7:4711:1.00"), claim(instance, None), claim(instance, here())
    slots = {slot.run_id: slot for slot in stale_slots(instance)}
    assert set(slots) == {elsewhere, nobody}
    found = slots[elsewhere]
    assert (found.pool, found.host, found.pid) == (POOL, "gpu7", 4711)
    assert 0 <= found.age_seconds < 60
    assert (slots[nobody].host, slots[nobody].pid) == (None, None)


def test_the_command_frees_the_dead_of_this_host_and_the_named_of_others_and_nothing_else(instance, capsys):
    dead = claim(instance, f"{socket.gethostname()}:{os.getpid()}:1.00")  # another process had this id once
    elsewhere, living = claim(instance, "gpu7:4711:1.00"), claim(instance, here())

    assert cli.main(["free-slots", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert dead in shown
    assert f"run {elsewhere}  pool gpu  process 4711 on gpu7" in shown
    assert living not in shown
    assert holders(instance) == {dead, elsewhere, living}

    assert cli.main(["free-slots"]) == 0
    shown = capsys.readouterr().out
    assert f"freed the slots of run {dead}" in shown
    assert f"left alone: run {elsewhere}" in shown
    assert holders(instance) == {elsewhere, living}

    assert cli.main(["free-slots", "--run", living]) == 1
    assert "holds no stale pool slot" in capsys.readouterr().err
    assert cli.main(["free-slots", "--run", elsewhere]) == 0
    assert holders(instance) == {living}
    assert instance.get_run_by_id(elsewhere).status == dg.DagsterRunStatus.FAILURE
    assert instance.get_run_by_id(living).status == dg.DagsterRunStatus.STARTED
