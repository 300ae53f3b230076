"""Folders of generated files: made once, whole or not at all, and found again."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from glm_assets.errors import DataRootError
from glm_assets.storage.atomic import file_digest, write_json

Build = Callable[[Path], dict[str, Any]]

_ABOUT = "SYNTHETIC: every sequence, gene and record in this folder is invented"


def make_once(folder: Path, record: str, made_of: Mapping[str, Any], build: Build) -> dict[str, Any]:
    """Make the content of a folder, or find it finished there.

    It is built beside `folder` and renamed, so it is whole or absent; processes that ask for the same folder take
    turns. Content that is made of something else, or damaged, is replaced.

    Args:
        folder: Where the files shall be.
        record: Name of the file in it that says what it is, such as `demo_tree.json`.
        made_of: All that the content is a function of, JSON-able.
        build: Writes the files into a folder, which it may have to make, and returns counts, JSON-able.

    Returns:
        The counts.

    Raises:
        DataRootError: `folder` holds something else.
    """
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        counts = _finished(folder, record, made_of)
        return _publish(folder, record, made_of, build) if counts is None else counts


def write_gzip(path: Path, lines: Iterable[str]) -> None:
    """Write lines of ASCII without name and time in the gzip header, so that equal lines have equal bytes."""
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as stream:
        stream.write("".join(f"{line}\n" for line in lines).encode("ascii"))


def _finished(folder: Path, record: str, made_of: Mapping[str, Any]) -> dict[str, Any] | None:
    """The counts of `folder` if it is made of the same and all of its files are there, unchanged."""
    if not folder.exists() or not any(folder.iterdir()):
        return None
    try:
        found = json.loads((folder / record).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataRootError(
            f"{folder} is not empty and holds no {Path(record).stem.replace('_', ' ')}",
            expected=f"an empty or absent folder, or one with {record}",
            fix="choose another folder or empty this one",
        ) from error
    except ValueError:
        return None
    if any(found.get(key) != value for key, value in made_of.items()):
        return None
    paths = {folder / name: digest for name, digest in found["files"].items()}
    whole = all(path.is_file() and file_digest(path) == digest for path, digest in paths.items())
    return found["counts"] if whole else None


def _publish(folder: Path, record: str, made_of: Mapping[str, Any], build: Build) -> dict[str, Any]:
    """Build in a hidden sibling, then take the place of whatever is in `folder`."""
    work, former = (folder.with_name(f".{folder.name}.{word}") for word in ("partial", "former"))
    for left_by_a_killed_process in (work, former):
        shutil.rmtree(left_by_a_killed_process, ignore_errors=True)
    try:
        counts = build(work)
        paths = [path for path in sorted(work.rglob("*")) if path.is_file()]
        files = {path.relative_to(work).as_posix(): file_digest(path) for path in paths}
        write_json(work / record, {"about": _ABOUT, **made_of, "counts": counts, "files": files})
        if folder.exists():
            folder.rename(former)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)
    return counts


def plain(value: Any) -> Any:
    """What a recipe is a function of, as it comes back from JSON: lists in place of tuples."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value
