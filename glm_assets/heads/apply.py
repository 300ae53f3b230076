"""Applying a trained head to vectors, as submissions and evaluations do. torch is imported with the first head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import CheckpointError

if TYPE_CHECKING:
    from glm_assets.heads.networks import Head


def load_head(path: Path, *, device: str = "cpu") -> Head:
    """Load a head for use: float32, dropout off.

    Args:
        path: Folder with `model.safetensors`, a `.safetensors` file, or a `.pt` file of the original authors.
        device: `cpu` or `cuda:N`.

    Raises:
        MissingUpstreamError: There is no such file.
        CheckpointError: The file is no head's, or damaged.
    """
    from glm_assets.heads.weights import read_head

    return read_head(path).to(device).eval().requires_grad_(False)


def embed(head: Head, vectors: NDArray[np.floating], *, batch: int = 4096) -> NDArray[np.float32]:
    """Map encoder vectors to the head's unit vectors, in float32.

    Args:
        head: As `load_head` gives it.
        vectors: Pooled encoder vectors (n, in_dim), float32 or float16.
        batch: Rows at a time.

    Returns:
        Rows of unit length (n, out_dim), in order.

    Raises:
        CheckpointError: The vectors have another width than the head takes.
    """
    import torch

    if vectors.ndim != 2 or vectors.shape[1] != head.shape.in_dim:
        raise CheckpointError(
            f"vectors of shape {vectors.shape} do not fit head {head.shape.version}",
            expected=f"(n, {head.shape.in_dim}), from the encoder the head was trained on",
        )
    device = next(head.parameters()).device
    out = np.empty((len(vectors), head.shape.out_dim), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(vectors), batch):
            rows = torch.tensor(vectors[start : start + batch], dtype=torch.float32)
            out[start : start + batch] = head(rows.to(device)).cpu().numpy()
    return out
