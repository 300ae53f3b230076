"""Names of the files in a head's folder."""

from __future__ import annotations

from pathlib import Path

from glm_assets.errors import MissingUpstreamError

MODEL_FILE = "model.safetensors"
META_FILE = "meta.json"
HISTORY_FILE = "history.json"
SUMMARIES_FOLDER = "summaries"


def weights_file(path: Path) -> Path:
    """The weights at `path`: the file itself, or `model.safetensors` in that folder.

    Raises:
        MissingUpstreamError: There is no such file.
    """
    file = path / MODEL_FILE if path.is_dir() else path
    if not file.is_file():
        raise MissingUpstreamError(f"no head weights at {file}", fix="train that head first, or name another file")
    return file
