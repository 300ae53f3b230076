"""Dagster's part of `glm-assets doctor`: its versions, its instance, and pool slots that were left behind."""

import os
from functools import partial
from importlib import metadata
from pathlib import Path

import dagster as dg
import yaml
from packaging.version import Version

from glm_assets.defs.slots import StaleSlot, open_instance, stale_slots
from glm_assets.doctor.findings import Check, Finding
from glm_assets.doctor.packages import pinned

_LIBRARIES = ("dagster-webserver", "dagster-graphql", "dagster-pipes", "dagster-shared")
_DAY = 24 * 3600


def instance_checks(folder: Path) -> dict[str, Check]:
    """Checks of the instance that commands in a folder share.

    Args:
        folder: Where commands are started.
    """
    return {
        "Dagster": check_versions,
        "instance": partial(check_instance, folder),
        "pool slots": partial(check_slots, folder),
    }


def check_versions() -> Finding:
    """Whether Dagster's packages are of one release, and of the one that is asked for."""
    core = metadata.version("dagster")
    found = {name: metadata.version(name) for name in _LIBRARIES}
    if odd := [f"{name} {version}" for name, version in found.items() if Version(version) != Version(core)]:
        fix = "pip install -c constraints.txt -e ."
        return Finding("Dagster", "warning", f"{core}, but {', '.join(odd)}", fix)
    return Finding("Dagster", "ok", f"{core} (asked for: {pinned('dagster')})")


def check_instance(folder: Path) -> Finding:
    """Whether the instance's file is there and its history opens."""
    home = os.environ.get("DAGSTER_HOME")
    file = Path(home or folder) / "dagster.yaml"
    if not file.is_file():
        fix = "run this from the project's folder, or set DAGSTER_HOME to a folder with a dagster.yaml"
        return Finding("instance", "missing", f"there is no {file}", fix)
    if not _has_history(folder, file):
        return Finding("instance", "ok", f"{file}; the first run makes its history")
    with open_instance(folder) as instance:
        runs = instance.get_runs_count()
        running = instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        storage = type(instance.event_log_storage).__name__
    return Finding("instance", "ok", f"{file}; {runs:,} runs in {storage}, {running} of them running")


def check_slots(folder: Path) -> Finding:
    """Whether runs that are gone still hold slots of a pool; nothing is freed.

    Unfinished runs of other hosts are named, but only a warning for those who know that they are dead.
    """
    file = Path(os.environ.get("DAGSTER_HOME") or folder) / "dagster.yaml"
    if not file.is_file() or not _has_history(folder, file):
        return Finding("pool slots", "ok", "there is no history yet")
    with open_instance(folder) as instance:
        slots = stale_slots(instance)
    left = [slot for slot in slots if not slot.is_elsewhere]
    if left:
        return Finding("pool slots", "warning", f"left behind: {_listed(left)}", "glm-assets free-slots")
    elsewhere = f"; cannot be judged from here: {_listed(slots)}" if slots else ""
    return Finding("pool slots", "ok", f"none is left behind{elsewhere}")


def _listed(slots: list[StaleSlot]) -> str:
    return ", ".join(f"{slot.pool} by run {slot.run_id[:8]} on {slot.host or 'an unknown host'}" for slot in slots)


def _has_history(folder: Path, file: Path) -> bool:
    """Whether opening the instance only reads; a fresh one in files would be made by opening it."""
    settings = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    storage = settings.get("storage") or {}
    files = storage.get("sqlite") or storage.get("custom", {}).get("config") or {}
    base = files.get("base_dir")
    if base is None:  # a server's, or Dagster's own default below DAGSTER_HOME
        return "storage" in settings or (file.parent / "history").exists()
    return (folder / base).exists()
