"""Names of the files in a head's folder, and how the small linear models in it are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from glm_assets.errors import CheckpointError, MissingUpstreamError

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


def read_arrays(path: Path, kind: str) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """Metadata and arrays of a model that needs no torch.

    Args:
        path: Its folder, or its `model.safetensors`.
        kind: What it is to be, such as `probe`, for the errors.

    Raises:
        MissingUpstreamError: There is no such file.
        CheckpointError: The file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    file = path / MODEL_FILE if path.is_dir() else path
    if not file.is_file():
        raise MissingUpstreamError(
            f"no {kind} at {file}", fix=f"materialise that {kind} first, or name another file"
        )
    try:
        with safe_open(file, "numpy") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (it is no mapping)
            return opened.metadata() or {}, tensors
    except SafetensorError as error:
        raise CheckpointError(f"{file} cannot be read as a {kind}: {error}", expected="safetensors") from error
