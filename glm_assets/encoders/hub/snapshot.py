"""Repositories on Hugging Face: what a revision is and holds, remembered; and one file of it, continued and checked."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from glm_assets.errors import DownloadError, IntegrityError
from glm_assets.sources.fetch import fetch
from glm_assets.storage.atomic import file_digest, write_json

Progress = Callable[[str], None]

_COMMIT = re.compile(r"[0-9a-f]{40}")
_LONGEST_REVISION = 120


@dataclass(frozen=True)
class PublishedFile:
    """What a repository states of a file: its size in bytes and, of large ones, the SHA-256."""

    size: int
    sha256: str | None


@dataclass(frozen=True)
class Snapshot:
    """A repository at a commit.

    Attributes:
        repo: `owner/name`.
        commit: 40 hex digits.
        files: Path in the repository to what is stated of it.
    """

    repo: str
    commit: str
    files: Mapping[str, PublishedFile]


def recorded_commit(folder: Path, name: str, revision: str) -> str | None:
    """The commit that a revision meant when its weights were first asked for; None when they never were.

    Args:
        folder: Where weights are kept.
        name: What the weights are called there.
        revision: Branch, tag or commit; a commit means itself.
    """
    if _COMMIT.fullmatch(revision):
        return revision
    try:
        commit = json.loads(_record(folder, name, revision).read_text(encoding="utf-8"))["commit"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    # It becomes a part of file names.
    return commit if isinstance(commit, str) and _COMMIT.fullmatch(commit) else None


def record_commit(folder: Path, name: str, revision: str, snapshot: Snapshot) -> None:
    """Remember what a revision means, so that neither a second attempt nor a later run drifts to another commit."""
    record = {"repo": snapshot.repo, "revision": revision, "commit": snapshot.commit}
    write_json(_record(folder, name, revision), record)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold the lock of a weights folder: two runs at once would write the same partial download."""
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".fetch.lock"):
        yield


def take_snapshot(repo: str, revision: str) -> Snapshot:
    """Ask Hugging Face for a revision's commit and files; nothing is downloaded.

    Args:
        repo: `owner/name`.
        revision: Branch, tag or commit.

    Raises:
        DownloadError: Hugging Face cannot be reached, or lacks the repository or the revision.
    """
    import httpx2  # what huggingface_hub speaks HTTP with, and lets through when there is no connection
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    try:
        info = HfApi().model_info(repo, revision=revision, files_metadata=True)
    except (httpx2.HTTPError, OSError, HFValidationError) as error:
        raise _not_fetched(repo, revision, str(error)) from error
    files = {
        item.rfilename: PublishedFile(item.size, item.lfs.sha256 if item.lfs else None)
        for item in info.siblings or ()
        if item.size is not None
    }
    if not _COMMIT.fullmatch(str(info.sha)):  # it becomes a part of file names
        raise _not_fetched(repo, revision, f"the server states {str(info.sha)[:60]!r} as its commit")
    return Snapshot(repo, str(info.sha), files)


def download(snapshot: Snapshot, file: str, dest: Path, progress: Progress) -> None:
    """Bring a file of a repository to `dest`, unless it is there: what lies there was checked.

    An interrupted download continues where it stopped, in this call or a later one. huggingface_hub throws the bytes
    of a killed process away, so it is asked for addresses only.

    Args:
        snapshot: From `take_snapshot`.
        file: Path in the repository.
        dest: The file to be.
        progress: Called with a line every few seconds.

    Raises:
        DownloadError: Hugging Face cannot be reached.
        IntegrityError: The file differs from the size or SHA-256 that Hugging Face states; it is removed.
    """
    from huggingface_hub import get_token, hf_hub_url

    if dest.is_file():
        return
    unchecked = dest.with_name(f".{dest.name}.unchecked")
    token = get_token()
    if not unchecked.is_file():
        progress(f"downloading {file} of {snapshot.repo} at {snapshot.commit}")
        try:
            fetch(
                hf_hub_url(snapshot.repo, file, revision=snapshot.commit),
                unchecked,
                headers={"Authorization": f"Bearer {token}"} if token else {},
                progress=progress,
            )
        except DownloadError as error:
            raise _not_fetched(snapshot.repo, snapshot.commit, error.problem) from error
    _check(unchecked, file, snapshot.files[file])
    unchecked.replace(dest)


def _check(path: Path, file: str, stated: PublishedFile) -> None:
    size = path.stat().st_size
    if size != stated.size or (stated.sha256 and file_digest(path) != stated.sha256):
        path.unlink()
        raise IntegrityError(
            f"{file} differs from what Hugging Face states of it ({size:,} bytes arrived)",
            expected=f"{stated.size:,} bytes with SHA-256 {stated.sha256 or '(not stated)'}",
            fix="fetch it again",
        )


def _not_fetched(repo: str, revision: str, reason: str) -> DownloadError:
    return DownloadError(
        f"{repo} (revision {revision}) could not be fetched from Hugging Face: {reason}",
        fix="try again, it continues where it stopped; or set GLM_CHECKPOINT to a local file, "
        "or GLM_ENCODER to hf:<folder> for a model of transformers",
    )


def _record(folder: Path, name: str, revision: str) -> Path:
    readable = quote(revision, safe="")
    # No branch is as long; a file name may have 255 bytes.
    shown = readable if len(readable) <= _LONGEST_REVISION else hashlib.sha256(readable.encode()).hexdigest()
    return folder / f"{name}-{shown}.json"
