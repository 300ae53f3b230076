"""A transformers model of a Hugging Face repository: its safetensors, config and tokenizer, and nothing else of it."""

from __future__ import annotations

import re
from pathlib import Path

from glm_assets.encoders.hub.snapshot import (
    Progress,
    Snapshot,
    download,
    one_at_a_time,
    record_commit,
    recorded_commit,
    take_snapshot,
)
from glm_assets.encoders.huggingface.folder import (
    CONFIG,
    INDEX,
    TOKENIZER_FILES,
    WEIGHTS,
    refuse_remote_code,
    weight_files,
)
from glm_assets.errors import DownloadError

_PART = r"[A-Za-z0-9][\w.-]*"
_REPOSITORY = re.compile(rf"({_PART}/{_PART})(?:@(\S+))?")


def parse_repository(text: str) -> tuple[str, str | None] | None:
    """Split `owner/name` or `owner/name@revision`; None when it is neither."""
    match = _REPOSITORY.fullmatch(text)
    return (match[1], match[2]) if match else None


def find_model(repo: str, revision: str, folder: Path) -> tuple[Path, str] | None:
    """The folder of a model that was downloaded before, and its commit."""
    commit = recorded_commit(folder, _key(repo), revision)
    path = _path(folder, repo, commit or "none")
    return (path, commit) if commit and path.is_dir() else None


def fetch_model(
    repo: str, revision: str, folder: Path, progress: Progress, *, weights_alone: bool = False
) -> tuple[Path, str]:
    """Download a model and remember its commit; what an earlier attempt left is continued.

    Args:
        repo: `owner/name` on Hugging Face.
        revision: Branch, tag or commit.
        folder: Where weights are kept.
        progress: Called with a line every few seconds.
        weights_alone: Bring safetensors only, for a model whose code and configuration are a package's.

    Returns:
        The model's folder and the commit.

    Raises:
        DownloadError: Hugging Face cannot be reached, or lacks the repository, the revision or safetensors.
        IntegrityError: A file differs from what Hugging Face states.
        EncoderError: The model needs code of its repository; found before its weights are downloaded.
    """
    with one_at_a_time(folder):
        if found := find_model(repo, revision, folder):
            return found
        snapshot = take_snapshot(repo, recorded_commit(folder, _key(repo), revision) or revision)
        weights = _weights_name(snapshot)
        record_commit(folder, _key(repo), revision, snapshot)
        dest = _path(folder, repo, snapshot.commit)
        work = dest.parent.with_name(f".{dest.parent.name}.fetching") / dest.name
        work.mkdir(parents=True, exist_ok=True)
        if not weights_alone:
            _fetch_description(snapshot, work, progress)
        _fetch_weights(snapshot, weights, work, progress)
        work.parent.replace(dest.parent)
        return dest, snapshot.commit


def _fetch_description(snapshot: Snapshot, work: Path, progress: Progress) -> None:
    """The small files, first: a model that cannot be used is found before its weights are downloaded."""
    for file in (CONFIG, *(name for name in TOKENIZER_FILES if name in snapshot.files)):
        _bring(snapshot, file, work, progress)
    refuse_remote_code(work)


def _fetch_weights(snapshot: Snapshot, weights: str, work: Path, progress: Progress) -> None:
    _bring(snapshot, weights, work, progress)
    for divided in weight_files(work / weights)[1:]:
        _bring(snapshot, divided.name, work, progress)


def _bring(snapshot: Snapshot, file: str, work: Path, progress: Progress) -> None:
    if file not in snapshot.files:
        raise DownloadError(
            f"{snapshot.repo} at {snapshot.commit} lacks {file}", expected="a whole transformers model"
        )
    download(snapshot, file, work / file, progress)


def _key(repo: str) -> str:
    """What a repository is called where weights are kept."""
    return repo.replace("/", "--")


def _path(folder: Path, repo: str, commit: str) -> Path:
    """Folder of the model of a commit; it is there only when all its files are.

    Its own name is the repository's, as in a copy that somebody else made: equal models get equal vector keys.
    """
    return folder / f"{_key(repo)}-{commit}" / repo.rpartition("/")[2]


def _weights_name(snapshot: Snapshot) -> str:
    for name in (WEIGHTS, INDEX):
        if name in snapshot.files:
            return name
    raise DownloadError(
        f"{snapshot.repo} at {snapshot.commit} publishes no {WEIGHTS}; pickled weights are not read",
        expected=f"{WEIGHTS} or {INDEX}",
        fix="choose a revision with safetensors, or convert it where you trust it with save_pretrained(folder) "
        "and set GLM_ENCODER to hf:<folder>",
    )
