"""Data roots of tests: a study over a copy of a finished one, and what is in a folder, to see that nothing changed."""

from __future__ import annotations

import shutil
from pathlib import Path

from glm_assets.lineage.study import Study
from glm_assets.settings import Settings


def copied(study: Study, folder: Path, **settings) -> Study:
    """The study over a copy of its data root in `folder`; `settings` replace some."""
    shutil.copytree(study.root, folder, symlinks=True)
    return with_settings(study, data_root=str(folder), **settings)


def with_settings(study: Study, **settings) -> Study:
    """The same study under other settings."""
    return Study(Settings(**(study.settings.model_dump() | settings)))


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and modification time of every file and folder below one."""
    stats = {path: path.stat() for path in sorted(folder.rglob("*"))}
    return {str(path.relative_to(folder)): (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}
