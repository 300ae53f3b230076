"""A real Ray cluster on this machine: a head without CPUs and worker nodes that can be killed."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

STORE_BYTES = 100_000_000


class RayCluster:
    """Two worker nodes of one CPU each, with their own processes, as on two machines.

    Args:
        dashboard: Whether jobs can be submitted.
    """

    def __init__(self, *, dashboard: bool) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "node_ip_address": "127.0.0.1", "include_dashboard": dashboard}
        head["dashboard_agent_listen_port"] = None  # any: another cluster may have the usual one
        self._cluster = Cluster(initialize_head=True, head_node_args=head | {"object_store_memory": STORE_BYTES})
        self._nodes = [self.add_node() for _ in range(2)]
        self.address: str = self._cluster.address
        self.dashboard: str = f"http://{self._cluster.webui_url}"
        if dashboard:
            self._await_jobs()

    def add_node(self, cpus: int = 1):
        """A further worker node."""
        return self._cluster.add_node(num_cpus=cpus, node_ip_address="127.0.0.1", object_store_memory=STORE_BYTES)

    def _await_jobs(self) -> None:
        """Return when jobs can be submitted, which is some time after the cluster is up."""
        from ray.job_submission import JobSubmissionClient

        deadline = time.monotonic() + 60
        while True:
            try:
                JobSubmissionClient(self.dashboard).submit_job(entrypoint="true")
                return
            except (RuntimeError, ConnectionError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def kill_node(self) -> None:
        """Let a worker node vanish with all its processes, as a machine does that loses its power."""
        raylet = psutil.Process(self._nodes.pop().all_processes["raylet"][0].process.pid)
        family = [raylet, *raylet.children(recursive=True)]
        for process in family:
            process.suspend()  # so that none sees another's end first
        for process in family:
            os.kill(process.pid, signal.SIGKILL)

    def shutdown(self) -> None:
        """End all nodes and remove their logs."""
        logs = self._cluster.head_node.get_session_dir_path()
        self._cluster.shutdown()
        shutil.rmtree(logs, ignore_errors=True)


@contextmanager
def ray_cluster(*, dashboard: bool = False) -> Iterator[RayCluster]:
    """Yield a cluster on 127.0.0.1 that sends nothing anywhere."""
    values = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # loopback addresses
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    from ray._private import ray_constants

    ray_constants.ENABLE_RAY_CLUSTER = False  # read from the environment when ray was first imported
    cluster = RayCluster(dashboard=dashboard)
    try:
        yield cluster
    finally:
        cluster.shutdown()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
