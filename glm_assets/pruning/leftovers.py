"""What killed processes left: working folders, temporary files, downloads, half-removed releases."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from glm_assets.lineage.study import Study
from glm_assets.pruning.items import DAY_S, LONG_S, Item, age_s, entries_of, size_of
from glm_assets.pruning.releases import REMOVED, is_download
from glm_assets.pruning.work import is_superseded, is_working_folder
from glm_assets.storage.shards import DAMAGED, INDEX, VECTORS

_TEMPORARY = re.compile(r"\.[0-9a-f]{12}\..+|\..+\.new")

# The store of vectors has rules of its own; MLflow's files are MLflow's.
_OTHERS = ("embeddings", "mlflow")


def leftovers(study: Study) -> Iterator[Item]:
    """What killed processes left in a data root, but for working folders that somebody may go on with."""
    for path in _walk(_tops(study)):
        if path.is_dir() and path.name.endswith(REMOVED):
            yield _folder(path, "a release whose removal was interrupted")
        elif is_working_folder(path):
            if is_superseded(path):
                yield _folder(path, "a working folder left for a week, whose product was finished since")
        elif path.is_file() and _TEMPORARY.fullmatch(path.name) and age_s(path) > DAY_S:
            yield _file(path, "a temporary file of a killed process")
        elif path.is_file() and is_download(path) and age_s(path) > LONG_S:
            yield _file(path, "a download that nobody went on with for a week")


def resumable_work(study: Study) -> list[Path]:
    """Working folders that a run may go on with, or is at work in."""
    return [path for path in _walk(_tops(study)) if is_working_folder(path) and not is_superseded(path)]


def store_leftovers(folder: Path) -> Iterator[Item]:
    """Files in a local store of vectors that belong to no shard."""
    for path in entries_of(folder):
        if not path.is_file() or age_s(path) < DAY_S:
            continue
        if path.name.endswith(DAMAGED):
            yield _file(path, "set aside because it was damaged; what it held was computed again")
        elif path.name.startswith(".") or (path.suffix == VECTORS and not path.with_suffix(INDEX).exists()):
            yield _file(path, "left by a killed writer")


def _walk(paths: list[Path]) -> Iterator[Path]:
    """Everything below, but not what is in a folder that may go as a whole."""
    for path in paths:
        yield path
        if path.is_dir() and not path.is_symlink() and not path.name.endswith((".partial", REMOVED)):
            yield from _walk(entries_of(path))


def _tops(study: Study) -> list[Path]:
    return [path for path in entries_of(study.root) if path.name not in _OTHERS]


def _folder(path: Path, reason: str) -> Item:
    return Item("leftover", str(path), size_of(path), reason, partial(shutil.rmtree, path))


def _file(path: Path, reason: str) -> Item:
    return Item("leftover", str(path), size_of(path), reason, partial(path.unlink, missing_ok=True))
