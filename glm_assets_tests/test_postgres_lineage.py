"""The tiny lineage with its history on PostgreSQL: a command that is killed, two at once, and all the rest."""

from __future__ import annotations

import shutil

import dagster as dg
import pytest

from glm_assets.defs.server_history import VARIABLE
from glm_assets_tests.checkouts import Checkout, make_checkout, wait_until
from glm_assets_tests.conftest import REPOSITORY
from glm_assets_tests.lineage.studies import tiny_environment
from glm_assets_tests.tiny_run import CHROMOSOMES, ONE_HEAD, STAGES, content_versions

SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


@pytest.fixture
def checkout(tmp_path, tiny_tree, postgres, monkeypatch) -> Checkout:
    """A checkout whose commands keep their history on the server."""
    folder = tmp_path / "checkout"
    history = {"DAGSTER_HOME": str(folder / "deploy/postgres"), VARIABLE: postgres.create("lineage")}
    checkout = make_checkout(folder, tiny_environment(folder, tiny_tree) | history)
    shutil.copytree(REPOSITORY / "deploy/postgres", folder / "deploy/postgres", dirs_exist_ok=True)
    for name, value in history.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    return checkout


def gpu_times(instance: dg.DagsterInstance) -> list[tuple[float, float]]:
    """Begin and end of every step that embedded a chromosome, in order."""
    times = []
    for run in instance.get_runs():
        stats = {step.step_key: step for step in instance.get_run_step_stats(run.run_id)}
        step = stats.get("variant_embeddings")
        if step and step.end_time:
            times.append((step.start_time, step.end_time))
    return sorted(times)


@pytest.mark.system
def test_the_tiny_lineage_runs_on_postgres_although_a_command_is_killed(checkout):
    sources, one, other, *_ = STAGES
    checkout.run(sources, timeout=600)
    with dg.DagsterInstance.get() as instance:
        pool = instance.event_log_storage.get_concurrency_info
        with checkout.start(one) as killed:
            wait_until(lambda: pool("gpu").active_run_ids, "a step holds the pool")
            killed.kill()
            killed.wait()
        with checkout.start(one) as first, checkout.start(other) as second:
            assert (first.wait(600), second.wait(600)) == (0, 0)
        (before, after) = gpu_times(instance)
        assert before[1] <= after[0]  # the pool admits one step, whichever process asks
        checkout.run(ONE_HEAD, timeout=600)
        assert sorted(run.status.value for run in instance.get_runs()) == ["FAILURE"] + 4 * ["SUCCESS"]
        assert pool("gpu").active_run_ids == set()
    assert len(content_versions(checkout, one_head=True)) == 1 + 3 * len(CHROMOSOMES)
    assert not list(checkout.folder.glob(".dagster/**/*.db"))
