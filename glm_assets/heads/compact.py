"""Heads without their ballast: blocks that pass every vector on as it is are left out, and the outputs stay the same.

Importing this module imports torch. A compacted head is a head like any other, with fewer blocks; it is for use. What
trains on should start from the whole one, whose closed gates may still open.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from glm_assets.errors import CheckpointError, StorageError
from glm_assets.heads.files import MODEL_FILE, weights_file
from glm_assets.heads.networks import Head
from glm_assets.heads.shapes import HeadShape, shape_of
from glm_assets.heads.weights import head_of, read_head, write_state

_BLOCK = re.compile(r"head\.(high|low|refine)\.(\d+)\.(.+)")
_PROBE_ROWS = 64


@dataclass(frozen=True)
class Compaction:
    """What a compact export did.

    Attributes:
        file: What was written.
        shape: Of the compacted head.
        dropped: Names of the blocks that were left out, such as `high.0`.
        bytes_before: Size of the file that was read.
        bytes_after: Size of the file that was written.
        probe_rows: Random vectors whose outputs were compared bit for bit before the file was published.
    """

    file: Path
    shape: HeadShape
    dropped: tuple[str, ...]
    bytes_before: int
    bytes_after: int
    probe_rows: int


def compact(source: Head | Mapping[str, Tensor]) -> tuple[dict[str, Tensor], HeadShape]:
    """Leave out the identity blocks of a head; the others move up, and keep their order.

    Args:
        source: A head or its state dict; its tensors are shared, not copied.

    Returns:
        The state dict of a smaller head of the same version, and that head's shape.

    Raises:
        CheckpointError: The tensors are no head's.
    """
    state = source.state_dict() if isinstance(source, Head) else source
    moved = _renumbered(state)
    kept = {}
    for key, tensor in state.items():
        found = _BLOCK.fullmatch(key)
        if found is None:
            kept[key] = tensor
        elif name := moved.get(f"{found[1]}.{found[2]}"):
            kept[f"head.{name}.{found[3]}"] = tensor
    return kept, shape_of({key: tuple(tensor.shape) for key, tensor in kept.items()})


def identity_blocks(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Names of the blocks that add exactly zero to every vector: gate, layer scale or last linear layer is zero.

    The projections are never among them: their straight path changes the width.
    """
    return tuple(name for name in _block_names(state) if _is_identity(state, f"head.{name}."))


def _renumbered(state: Mapping[str, Tensor]) -> dict[str, str]:
    """New name of each block that stays, by its old one."""
    gone = set(identity_blocks(state))
    names: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for name in _block_names(state):
        if name not in gone:
            stage = name.split(".")[0]
            names[name] = f"{stage}.{taken[stage]}"
            taken[stage] += 1
    return names


def _block_names(state: Mapping[str, Tensor]) -> list[str]:
    """Names such as `low.3` in the order of the network, whatever the order of the tensors."""
    found = {(match[1], int(match[2])) for match in map(_BLOCK.fullmatch, state) if match}
    return [f"{stage}.{number}" for stage, number in sorted(found)]


def _is_identity(state: Mapping[str, Tensor], prefix: str) -> bool:
    def zero(*names: str) -> bool:
        tensors = [state.get(prefix + name) for name in names]
        return all(tensor is not None and not bool(tensor.any()) for tensor in tensors)

    last = "fc2" if f"{prefix}fc2.weight" in state else "linear"
    return zero("alpha") or zero("layerscale") or zero(f"{last}.weight", f"{last}.bias")


def compact_file(source: Path, target: Path) -> Compaction:
    """Write a head without its identity blocks, after comparing the outputs of both on random vectors.

    Args:
        source: A head's folder, a `.safetensors` file or a `.pt` file of the original authors.
        target: A `.safetensors` file, or a folder that gets a `model.safetensors`; must not be there yet.

    Raises:
        MissingUpstreamError: There is no such head.
        CheckpointError: The file is no head's, or the outputs differ.
        StorageError: The target is there already.
    """
    file = target if target.suffix == ".safetensors" else target / MODEL_FILE
    if file.exists():
        raise StorageError(f"{file} is there already", fix="delete it, or name another file")
    whole = read_head(source).eval()
    state, shape = compact(whole)
    small = head_of(state).eval()
    _require_equal(whole, small, source)
    write_state(small, file)
    return Compaction(
        file=file,
        shape=shape,
        dropped=identity_blocks(whole.state_dict()),
        bytes_before=weights_file(source).stat().st_size,
        bytes_after=file.stat().st_size,
        probe_rows=_PROBE_ROWS,
    )


def _require_equal(whole: Head, small: Head, source: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(_PROBE_ROWS, whole.shape.in_dim, generator=generator)
    with torch.inference_mode():
        expected, found = whole(vectors), small(vectors)
    if not torch.equal(expected, found):
        raise CheckpointError(
            f"{source} gives other vectors without its identity blocks",
            expected="the same bits",
            fix="look for weights that are not finite, and use the head as it is",
        )
