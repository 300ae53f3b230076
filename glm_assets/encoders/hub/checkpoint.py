"""A checkpoint that a repository publishes as one file, or as pieces to be put one after the other."""

from __future__ import annotations

import re
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from glm_assets.encoders.hub.snapshot import (
    Progress,
    Snapshot,
    download,
    one_at_a_time,
    record_commit,
    recorded_commit,
    take_snapshot,
)
from glm_assets.errors import DownloadError

_CHUNK = 1 << 24


def find_checkpoint(name: str, revision: str, folder: Path) -> tuple[Path, str] | None:
    """A checkpoint that was downloaded before, and its commit."""
    commit = recorded_commit(folder, name, revision)
    path = _path(folder, name, commit or "none")
    return (path, commit) if commit and path.is_file() else None


def fetch_checkpoint(name: str, repo: str, revision: str, folder: Path, progress: Progress) -> tuple[Path, str]:
    """Download a checkpoint and remember its commit; what an earlier attempt left is continued.

    Args:
        name: Registry name; the file in the repository is `<name>.pt`, or `<name>.pt.part0` and so on.
        repo: Repository on Hugging Face.
        revision: Branch, tag or commit.
        folder: Where weights are kept.
        progress: Called with a line every few seconds.

    Returns:
        The file and the commit.

    Raises:
        DownloadError: Hugging Face cannot be reached, or lacks the repository, revision or file.
        IntegrityError: A file differs from what Hugging Face states.
    """
    with one_at_a_time(folder):
        if found := find_checkpoint(name, revision, folder):
            return found
        snapshot = take_snapshot(repo, recorded_commit(folder, name, revision) or revision)
        files = _checkpoint_files(name, snapshot)
        record_commit(folder, name, revision, snapshot)
        dest = _path(folder, name, snapshot.commit)
        if len(files) == 1:
            download(snapshot, files[0], dest, progress)
        else:
            _join(snapshot, files, dest, progress)
        return dest, snapshot.commit


def _path(folder: Path, name: str, commit: str) -> Path:
    return folder / f"{name}-{commit}.pt"


def _checkpoint_files(name: str, snapshot: Snapshot) -> list[str]:
    """The repository's file, or its pieces in order."""
    if f"{name}.pt" in snapshot.files:
        return [f"{name}.pt"]
    pattern = re.compile(re.escape(name) + r"\.pt\.part(\d+)")
    numbered = sorted((int(match[1]), file) for file in snapshot.files if (match := pattern.fullmatch(file)))
    if not numbered:
        raise DownloadError(
            f"{snapshot.repo} has neither {name}.pt nor {name}.pt.part0",
            expected="a checkpoint under one of these names",
        )
    return [file for _, file in numbered]


def _join(snapshot: Snapshot, files: list[str], dest: Path, progress: Progress) -> None:
    """Append each piece as it arrives and remove it: the disk holds the whole and one piece, never twice the whole.

    The size of what was joined before a kill tells which pieces it holds; a piece that it holds in part is appended
    again.
    """
    joined = dest.with_name(f".{dest.name}.joining")
    pieces = [dest.with_name(f".{dest.name}.piece{number}") for number in range(len(files))]
    ends = list(accumulate((snapshot.files[file].size for file in files), initial=0))
    joined.touch()
    done = sum(end <= joined.stat().st_size for end in ends) - 1
    with joined.open("r+b") as out:
        out.seek(ends[done])
        for file, piece in zip(files[done:], pieces[done:], strict=True):
            download(snapshot, file, piece, progress)
            _append(piece, out)
            piece.unlink()
    for piece in pieces:  # of a kill between the two steps above
        piece.unlink(missing_ok=True)
    joined.replace(dest)


def _append(piece: Path, out: BinaryIO) -> None:
    with piece.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            out.write(chunk)
    out.flush()
