"""A real Ray cluster on this machine: a head without CPUs and worker nodes that can be killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
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
        # Another cluster may have the usual ones.
        head |= {"dashboard_agent_listen_port": None, "dashboard_port": _free_port()}
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

        deadline = time.monotonic() + 300
        while True:
            try:
                JobSubmissionClient(self.dashboard).submit_job(entrypoint="true")
                return
            except (RuntimeError, ConnectionError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def kill_node(self, node_id: str | None = None) -> None:
        """Let a worker node vanish with all its processes, as a machine does that loses its power.

        Args:
            node_id: Which; any by default.
        """
        node = next(node for node in reversed(self._nodes) if node_id in {None, node.node_id})
        self._nodes.remove(node)
        raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
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


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def ray_cluster(*, dashboard: bool = False) -> Iterator[RayCluster]:
    """Yield a cluster on 127.0.0.1 that sends nothing anywhere."""
    values = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # loopback addresses
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    from ray._private import ray_constants

    # Both are read from the environment when ray is first imported.
    ray_constants.ENABLE_RAY_CLUSTER = False
    ray_constants.RAY_DASHBOARD_STARTUP_TIMEOUT_S = 300  # on cores that other tests share
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
