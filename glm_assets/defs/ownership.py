"""Runs whose process died: who owns a run, and how its pool slots come free.

A pool slot belongs to a run in Dagster's storage. When the run's process is killed without a chance to clean up, and
no daemon watches it, the slot stays taken for ever. Every run therefore notes its process, every run looks for dead
owners before and while it waits, and a step ends when the process of its run ends.
"""

import logging
import multiprocessing
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait

import dagster as dg
import psutil

_LOG = logging.getLogger(__name__)

OWNER_TAG = "glm/owner"
_INTERVAL_SECONDS = 10.0
# A process's start time is derived from the system clock, which may be set.
_CLOCK_TOLERANCE_SECONDS = 10.0


def claim_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Note this process as the one that executes the run: host, process id and start time."""
    process = psutil.Process()
    owner = f"{socket.gethostname()}:{process.pid}:{process.create_time():.2f}"
    instance.add_run_tags(run_id, {OWNER_TAG: owner})


def release_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Fail the runs that hold or await a pool slot but whose process is gone, and free their slots.

    Runs of other hosts and runs without a noted owner are left alone.

    Args:
        instance: The instance whose storage keeps the slots.

    Returns:
        Ids of the runs that were released.
    """
    storage = instance.event_log_storage
    released = []
    for run_id in storage.get_concurrency_run_ids():
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            if not owner_is_dead(run.tags.get(OWNER_TAG)):
                continue
            instance.report_run_failed(run, "The process of this run was killed; its pool slots are free again.")
        storage.free_concurrency_slots_for_run(run_id)
        released.append(run_id)
    return released


@contextmanager
def releasing_dead_runs(instance: dg.DagsterInstance) -> Iterator[None]:
    """Release dead runs now and every few seconds until the block ends."""
    release_dead_runs(instance)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_INTERVAL_SECONDS):
            try:
                release_dead_runs(instance)
            # A busy or absent database must not end the watch, for nobody would look again; each kind of
            # database has errors of its own.
            except Exception as error:  # noqa: BLE001
                _LOG.warning("looking for killed runs failed, trying again: %s", error)

    threading.Thread(target=watch, name="release-dead-runs", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def end_with_parent() -> None:
    """End this step's process as soon as the process of its run ends, however that ended.

    An orphaned step would go on holding the GPU that the next run is about to use. Outside a child process, as in
    tests that execute in one process, this does nothing.
    """
    parent = multiprocessing.parent_process()
    if parent is None or any(thread.name == "end-with-parent" for thread in threading.enumerate()):
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def owner_is_dead(owner: str | None) -> bool:
    """Whether the noted process was one of this host and is gone."""
    if owner is None:
        return False
    host, pid, created = owner.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(pid))
        reused = abs(process.create_time() - float(created)) > _CLOCK_TOLERANCE_SECONDS
        # In a container there may be nobody who collects dead processes.
        return reused or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
