"""Pool slots that do not come free by themselves: of runs on other hosts, whose processes nobody here can see."""

import socket
import time
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from dagster._core.instance.config import is_dagster_home_set

from glm_assets.defs.ownership import OWNER_TAG, owner_is_dead
from glm_assets.errors import SettingsError


@dataclass(frozen=True)
class StaleSlot:
    """A run that holds or awaits a pool slot and that nobody here can tell to be alive.

    Attributes:
        run_id: Of the run.
        pool: That it holds or awaits a slot of.
        host: Where its process is or was; None where none is noted.
        pid: The process; None where none is noted.
        is_elsewhere: Whether its process is noted on another host and may well be alive.
        age_seconds: Since the run's newest event; None where the run was deleted.
    """

    run_id: str
    pool: str
    host: str | None
    pid: int | None
    is_elsewhere: bool
    age_seconds: float | None


def stale_slots(instance: dg.DagsterInstance) -> list[StaleSlot]:
    """Pool slots of runs that have ended, whose process is gone or on another host, or was never noted.

    Those of this host come free by themselves as soon as any run starts or waits. Whether a run of another host is
    alive only a person can know.

    Args:
        instance: The instance whose storage keeps the slots.
    """
    storage = instance.event_log_storage
    found = []
    for pool in sorted(storage.get_concurrency_keys()):
        info = storage.get_concurrency_info(pool)
        steps = [*info.claimed_slots, *info.pending_steps]  # a step that is assigned a slot is pending too
        for run_id in sorted({step.run_id for step in steps}):
            run = instance.get_run_by_id(run_id)
            owner = run.tags.get(OWNER_TAG) if run else None
            is_unfinished = run is not None and not run.is_finished
            if is_unfinished and _lives_here(owner):
                continue
            host, pid = (owner.rsplit(":", 2)[0], int(owner.rsplit(":", 2)[1])) if owner else (None, None)
            is_elsewhere = is_unfinished and host not in (None, socket.gethostname())
            found.append(StaleSlot(run_id, pool, host, pid, is_elsewhere, _age_seconds(instance, run_id)))
    return found


def free_slots(instance: dg.DagsterInstance, run_id: str) -> None:
    """Fail a run that is not finished, and free its slots, wherever its process is or was.

    Args:
        instance: The instance whose storage keeps the slots.
        run_id: Of the run; one that was deleted may still hold slots.
    """
    run = instance.get_run_by_id(run_id)
    if run and not run.is_finished:
        instance.report_run_failed(run, "A person said that the process of this run is gone.")
    instance.event_log_storage.free_concurrency_slots_for_run(run_id)


def open_instance(folder: Path) -> dg.DagsterInstance:
    """The instance that commands in a folder share: that of DAGSTER_HOME, or of the folder's `dagster.yaml`.

    Raises:
        SettingsError: There is neither.
    """
    if is_dagster_home_set():
        return dg.DagsterInstance.get()
    if not (folder / "dagster.yaml").is_file():
        raise SettingsError(
            f"{folder} has no dagster.yaml", fix="run this from the project's folder, or set DAGSTER_HOME"
        )
    return dg.DagsterInstance.from_config(str(folder))


def _lives_here(owner: str | None) -> bool:
    return owner is not None and owner.rsplit(":", 2)[0] == socket.gethostname() and not owner_is_dead(owner)


def _age_seconds(instance: dg.DagsterInstance, run_id: str) -> float | None:
    """What a run logs is an event too, while its record changes only with its status and tags."""
    record = instance.get_run_record_by_id(run_id)
    if record is None:
        return None
    events = instance.get_records_for_run(run_id, limit=1, ascending=False).records
    heard = [record.update_timestamp.timestamp(), *(event.timestamp for event in events)]
    return max(0.0, time.time() - max(heard))
