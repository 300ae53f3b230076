"""What killed processes left: working folders, temporary files, downloads, half-removed releases."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from glm_assets.errors import GlmError
from glm_assets.lineage.study import Study
from glm_assets.planning import graph
from glm_assets.pruning.items import DAY_S, Item, size_of
from glm_assets.pruning.releases import REMOVED
from glm_assets.storage.shards import DAMAGED, INDEX, VECTORS

_WORK = re.compile(r"\..+\.([0-9a-f]{16})\.partial")
_TEMPORARY = re.compile(r"\.[0-9a-f]{12}\..+|\..+\.new")
_DOWNLOAD = re.compile(r".+\.part(\.json)?")
_DOWNLOAD_AGE_S: Final = 7 * DAY_S  # many gigabytes that need not come again

# The store of vectors has rules of its own; MLflow's files are MLflow's.
_OTHERS = ("embeddings", "mlflow")


def leftovers(study: Study) -> Iterator[Item]:
    """What killed processes left in a data root, but for a working folder that today's products would go on with."""
    wanted = _digests_of_today(study)
    tops = [path for path in sorted(study.root.glob("*")) if path.name not in _OTHERS]
    for path in _walk(tops):
        if path.is_dir() and path.name.endswith(REMOVED):
            yield _folder(path, "a release whose removal was interrupted")
        elif path.is_dir() and (match := _WORK.fullmatch(path.name)):
            if match[1] not in wanted and _age_s(path) > DAY_S:
                yield _folder(path, "a working folder that no product of today would go on with")
        elif path.is_file() and _TEMPORARY.fullmatch(path.name) and _age_s(path) > DAY_S:
            yield _file(path, "a temporary file of a killed process")
        elif path.is_file() and _DOWNLOAD.fullmatch(path.name) and _age_s(path) > _DOWNLOAD_AGE_S:
            yield _file(path, "a download that nobody went on with for a week")


def store_leftovers(folder: Path) -> Iterator[Item]:
    """Files in a local store of vectors that belong to no shard."""
    for path in sorted(folder.glob("*")):
        if not path.is_file() or _age_s(path) < DAY_S:
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
            yield from _walk(sorted(path.glob("*")))


def _digests_of_today(study: Study) -> set[str]:
    digests = set()
    for name, asset in graph.ASSETS.items():
        for chrom in graph.partitions(study, name) if asset.product else ():
            try:
                assert asset.product is not None
                digests.add(asset.product(study, chrom).input_digest[:16])
            except GlmError:
                continue  # what it is made from is not there, so that it would not go on with anything
    return digests


def _age_s(path: Path) -> float:
    """Seconds since the newest file of a folder, or a file, was written."""
    newest = max((file.stat().st_mtime for file in path.rglob("*")), default=0.0) if path.is_dir() else 0.0
    return time.time() - max(newest, path.stat().st_mtime)


def _folder(path: Path, reason: str) -> Item:
    return Item("leftover", str(path), size_of(path), reason, partial(shutil.rmtree, path))


def _file(path: Path, reason: str) -> Item:
    return Item("leftover", str(path), size_of(path), reason, partial(path.unlink, missing_ok=True))
