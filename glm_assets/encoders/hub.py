"""Checkpoints on Hugging Face: resolve a revision to a commit, download it, check it, remember it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from glm_assets.errors import DownloadError, IntegrityError
from glm_assets.storage.atomic import atomic_path, file_digest, write_json

_COMMIT = re.compile(r"[0-9a-f]{40}")
_CHUNK = 1 << 24


def recorded_commit(folder: Path, name: str, revision: str) -> str | None:
    """The commit that a revision meant when its weights were downloaded; None when they never were.

    Args:
        folder: Where weights are kept.
        name: Registry name of the encoder.
        revision: Branch, tag or commit; a commit means itself.
    """
    if _COMMIT.fullmatch(revision):
        return revision
    try:
        return json.loads(_record(folder, name, revision).read_text(encoding="utf-8"))["commit"]
    except FileNotFoundError:
        return None


def fetch_from_hub(
    name: str, repo: str, revision: str, folder: Path, progress: Callable[[str], None]
) -> tuple[Path, str]:
    """Download a checkpoint, in pieces where it is published so, and record its commit.

    An interrupted download continues where it stopped.

    Args:
        name: Registry name; the file in the repository is `<name>.pt`, or `<name>.pt.part0` and so on.
        repo: Repository on Hugging Face.
        revision: Branch, tag or commit.
        folder: Receives `<name>-<commit>.pt`.
        progress: Called with a line for each file.

    Returns:
        The file and the commit.

    Raises:
        DownloadError: Hugging Face cannot be reached, or lacks the repository, revision or file.
        IntegrityError: A file differs from the checksum that Hugging Face states.
    """
    import httpx2  # what huggingface_hub speaks HTTP with, and lets through when there is no connection
    from huggingface_hub import HfApi, hf_hub_download

    parts = folder / f".{name}.parts"
    try:
        info = HfApi().model_info(repo, revision=revision, files_metadata=True)
        commit = str(info.sha)
        files = {item.rfilename: item.lfs.sha256 if item.lfs else None for item in info.siblings or ()}
        pieces = []
        for file in _checkpoint_files(name, repo, files):
            progress(f"downloading {file} of {repo} at {commit}")
            pieces.append(Path(hf_hub_download(repo, file, revision=commit, local_dir=parts)))
            _check(pieces[-1], files[file])
    except (httpx2.HTTPError, OSError) as error:
        raise DownloadError(
            f"{repo} (revision {revision}) could not be fetched from Hugging Face: {error}",
            fix="try again, it continues where it stopped; or set GLM_CHECKPOINT to a local file",
        ) from error
    dest = folder / f"{name}-{commit}.pt"
    _join(pieces, dest)
    write_json(_record(folder, name, revision), {"repo": repo, "revision": revision, "commit": commit})
    return dest, commit


def _checkpoint_files(name: str, repo: str, files: Mapping[str, str | None]) -> list[str]:
    """The repository's file, or its pieces in order."""
    if f"{name}.pt" in files:
        return [f"{name}.pt"]
    pattern = re.compile(re.escape(name) + r"\.pt\.part(\d+)")
    numbered = sorted((int(match[1]), file) for file in files if (match := pattern.fullmatch(file)))
    if not numbered:
        raise DownloadError(
            f"{repo} has neither {name}.pt nor {name}.pt.part0", expected="a checkpoint under one of these names"
        )
    return [file for _, file in numbered]


def _check(path: Path, sha256: str | None) -> None:
    if sha256 and file_digest(path) != sha256:
        path.unlink()
        raise IntegrityError(f"{path.name} differs from its published SHA-256 {sha256}", fix="fetch it again")


def _join(pieces: list[Path], dest: Path) -> None:
    """Move the only piece to `dest`, or write the pieces one after the other into it, and remove them."""
    if len(pieces) == 1:
        pieces[0].replace(dest)
        return
    with atomic_path(dest) as temporary, temporary.open("wb") as out:
        for piece in pieces:
            with piece.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    out.write(chunk)
    for piece in pieces:
        piece.unlink()


def _record(folder: Path, name: str, revision: str) -> Path:
    return folder / f"{name}-{quote(revision, safe='')}.json"
