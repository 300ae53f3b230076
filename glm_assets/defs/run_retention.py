"""Old runs: which of them no asset needs any more, and how they are removed from Dagster's history."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_SUFFIXES = ("", "-wal", "-shm", "-journal")  # of a sqlite file


def prunable_runs(instance: dg.DagsterInstance, before: datetime) -> list[str]:
    """Ids of the runs that ended before a time and hold no asset's newest materialisation.

    With its run, a materialisation goes out of the history, and a partition without one looks as if it had never been
    made.

    Args:
        instance: The history.
        before: With a time zone.

    Returns:
        Oldest first.
    """
    needed = _newest_materializations(instance)
    records = instance.get_run_records(dg.RunsFilter(statuses=_FINISHED, updated_before=before), ascending=True)
    return [record.dagster_run.run_id for record in records if record.dagster_run.run_id not in needed]


def remove_runs(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> None:
    """Remove runs with their events and logs."""
    for run_id in run_ids:
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        instance.delete_run(run_id)
        _remove_file(instance, run_id)


def _newest_materializations(instance: dg.DagsterInstance) -> set[str]:
    """Ids of the runs with the newest materialisation of an asset or of one of its partitions."""
    found = set()
    for key in instance.all_asset_keys():
        newest = instance.get_latest_materialization_event(key)
        if newest:
            found.add(newest.run_id)
        stored = instance.event_log_storage.get_latest_storage_id_by_partition(
            key, dg.DagsterEventType.ASSET_MATERIALIZATION
        )
        if stored:
            wanted = dg.AssetRecordsFilter(asset_key=key, storage_ids=list(stored.values()))
            records = instance.fetch_materializations(wanted, limit=len(stored)).records
            found |= {record.run_id for record in records}
    return found


def _remove_file(instance: dg.DagsterInstance, run_id: str) -> None:
    """With sqlite a run has a file of its own, which Dagster empties but leaves."""
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        for suffix in _SUFFIXES:
            with suppress(FileNotFoundError):
                Path(storage.path_for_shard(run_id) + suffix).unlink()
