"""The tiny lineage on a real Ray cluster of two worker nodes: every step is a job, placed where there is room."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from typing import Any

import pytest

from glm_assets_tests.checkouts import Checkout, make_checkout, wait_until
from glm_assets_tests.clusters import RayCluster, ray_cluster
from glm_assets_tests.lineage.studies import tiny_environment
from glm_assets_tests.tiny_run import CHROMOSOMES, MATERIALIZE, ONE_HEAD, STAGES, content_versions

EMBED = f"{MATERIALIZE} variant_embeddings --partition 21"
GPU_STEPS = ("variant_embeddings", "variant_likelihoods", "covariance_embeddings")
PATIENCE_S = 900


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray")
    with ray_cluster(dashboard=True) as cluster:
        yield cluster


def checkout_on_ray(folder, tree, cluster: RayCluster) -> Checkout:
    """A checkout whose steps run on the cluster, two on each core, two of them on what a GPU would be."""
    settings = {"GLM_EXECUTOR": "ray", "RAY_ADDRESS": cluster.address, "GLM_STEP_CPUS": "0.5"}
    checkout = make_checkout(folder, tiny_environment(folder, tree) | settings)
    checkout.run("DAGSTER_HOME=$PWD dagster instance concurrency set gpu 2")
    return checkout


@pytest.fixture(scope="module")
def lineage(tmp_path_factory, tiny_tree, cluster) -> Checkout:
    """A checkout whose chromosomes were embedded on the cluster at the same time, and a head trained there."""
    checkout = checkout_on_ray(tmp_path_factory.mktemp("lineage"), tiny_tree, cluster)
    sources, one, other, *_ = STAGES
    checkout.run(sources, timeout=PATIENCE_S)
    with checkout.start(one) as first, checkout.start(other) as second:
        assert (first.wait(PATIENCE_S), second.wait(PATIENCE_S)) == (0, 0)
    checkout.run(ONE_HEAD, timeout=PATIENCE_S)
    return checkout


def with_windows_of(made: Checkout, folder, tree, cluster: RayCluster) -> Checkout:
    """A checkout that has another's sources and windows, but no vectors."""
    checkout = checkout_on_ray(folder, tree, cluster)
    for part in ("sources", "tables/clinvar_variants", "tables/variant_windows"):
        shutil.copytree(made.folder / "data" / part, checkout.folder / "data" / part)
    return checkout


_HISTORY = """
import json
import dagster as dg
with dg.DagsterInstance.get() as instance:
    runs = instance.get_runs()
    stats = [step for run in runs for step in instance.get_run_step_stats(run.run_id)]
    spans = [(step.step_key, step.start_time, step.end_time) for step in stats]
    print(json.dumps({"statuses": [run.status.value for run in runs], "spans": spans}))
"""


def history(checkout: Checkout) -> dict[str, list]:
    """How the checkout's runs ended, the newest first, and when each step began and ended."""
    (checkout.folder / "history.py").write_text(_HISTORY)
    return json.loads(checkout.run("DAGSTER_HOME=$PWD python -W ignore history.py").splitlines()[-1])


def steps_of(cluster: RayCluster, checkout: Checkout) -> list[Any]:
    """The cluster's jobs that are steps of the checkout's runs."""
    from ray.job_submission import JobSubmissionClient

    jobs = JobSubmissionClient(cluster.dashboard).list_jobs()
    return [job for job in jobs if f"cd {checkout.folder} " in job.entrypoint]


def running_step(cluster: RayCluster, checkout: Checkout, run: subprocess.Popen) -> Any:
    """The one step of a run, as soon as its process has been started."""
    found: list[Any] = []

    def is_running() -> bool:
        assert run.poll() is None, "the run has ended"
        found[:] = [job for job in steps_of(cluster, checkout) if job.status == "RUNNING" and job.driver_node_id]
        return bool(found)

    wait_until(is_running, "a step runs", seconds=PATIENCE_S, pause=0.3)
    return found[0]


def most_at_once(spans: list[tuple[float, float]]) -> int:
    """How many of the spans overlap at most."""
    return max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans)


@pytest.mark.system
def test_the_tiny_lineage_runs_on_both_workers(lineage, cluster):
    assert len(content_versions(lineage, one_head=True)) == 1 + 3 * len(CHROMOSOMES)
    jobs = steps_of(cluster, lineage)
    assert {job.status for job in jobs} <= {"SUCCEEDED", "RUNNING"}  # the last one's process may still be ending
    assert len({job.driver_node_id for job in jobs}) == 2  # the head has no CPU
    pooled = [(begin, end) for step, begin, end in history(lineage)["spans"] if step in GPU_STEPS]
    assert len(pooled) == len(GPU_STEPS) * len(CHROMOSOMES)
    assert most_at_once(pooled) == 2
    # What a step printed is where Dagster looks for it.
    assert list((lineage.folder / ".dagster/logs").rglob("*.err"))


@pytest.mark.system
def test_faults(tmp_path, tiny_tree, cluster, lineage):
    """A killed run, and a killed node: the steps end, nothing stays blocked, and the same command succeeds."""
    checkout = with_windows_of(lineage, tmp_path / "checkout", tiny_tree, cluster)

    with checkout.start(EMBED) as run:
        running_step(cluster, checkout, run)
        os.kill(run.pid, signal.SIGKILL)
        wait_until(
            lambda: [job.status for job in steps_of(cluster, checkout)] == ["FAILED"],
            "the step of a killed run ends",
            seconds=120,
        )

    with checkout.start(EMBED) as run:
        step = running_step(cluster, checkout, run)
        cluster.kill_node(step.driver_node_id)
        assert run.wait(180) == 1
    (log,) = (
        path for path in checkout.folder.glob("dagster-*.log") if "Materialization failed" in path.read_text()
    )
    assert "Fix: run the same command again" in log.read_text()

    # One CPU is left: a step that held it while its actors wait for one would never end.
    checkout.run(f"GLM_ENGINE=ray GLM_STEP_CPUS=1 {EMBED}", timeout=PATIENCE_S)
    cluster.add_node()
    assert history(checkout)["statuses"][:3] == ["SUCCESS", "FAILURE", "FAILURE"]
