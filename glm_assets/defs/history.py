"""Dagster's history in sqlite files, which several commands may open for the first time at once.

Dagster creates the tables without a lock: of several processes that find none, all but one fail because a table
already exists.
"""

from pathlib import Path
from typing import Self

from dagster._core.storage.sqlite_storage import DagsterSqliteStorage, SqliteStorageConfig
from dagster._serdes import ConfigurableClassData
from filelock import FileLock
from typing_extensions import override

_LOCK = ".open.lock"


class SharedSqliteStorage(DagsterSqliteStorage):
    """Dagster's own sqlite storage, opened by one process at a time.

    `dagster.yaml` names it; `base_dir` is the folder of the files, as for `storage: sqlite`.
    """

    @classmethod
    @override
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: SqliteStorageConfig) -> Self:
        """Open the storage; the first of several processes creates its tables while the others wait."""
        folder = Path(config_value["base_dir"])
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / _LOCK):
            return cls.from_local(inst_data=inst_data, **config_value)
