"""Widths and block counts of the four heads, and how a checkpoint's tensors tell them.

Plain Python: nothing here needs torch. The networks themselves are in `networks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from glm_assets.errors import CheckpointError

Version = Literal["v0", "v1", "v2", "v3"]
VERSIONS: tuple[Version, ...] = get_args(Version)
RICH_EXPANSION = 2  # inner width of a rich block, in units of the output width


@dataclass(frozen=True)
class HeadShape:
    """What a head's state dict is a function of.

    Attributes:
        version: Which of the four architectures.
        in_dim: Width of the encoder's vectors.
        hidden: Width between the two projections.
        out_dim: Width of the head's unit vectors.
        high: Simple blocks at the hidden width (`refine` of v0, `high` of v2 and v3).
        low: Simple blocks at the output width (`refine` of v1, the first of `low` of v2 and v3).
        rich: Blocks with an inner width of twice the output width, after the simple ones in `low`.
    """

    version: Version
    in_dim: int = 4096
    hidden: int = 3072
    out_dim: int = 2048
    high: int = 0
    low: int = 0
    rich: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The shape as JSON values."""
        return asdict(self)


# The widths of the original pipeline (GitHub Shim-Min-Kyoung/Dacon-2-Medical-AI-MAI-).
ORIGINAL_SHAPES: dict[Version, HeadShape] = {
    "v0": HeadShape("v0", hidden=1024, high=6),
    "v1": HeadShape("v1", low=8),
    "v2": HeadShape("v2", high=4, low=8, rich=4),
    "v3": HeadShape("v3", high=8, low=12, rich=4),
}


def detect_version(keys: Iterable[str]) -> Version:
    """Tell a checkpoint's version by the names of its tensors.

    Args:
        keys: State-dict keys, with the prefix `head.`.

    Raises:
        CheckpointError: The keys are none of the four heads'.
    """
    keys = set(keys)
    parts = {key.split(".")[1] for key in keys if key.startswith("head.")}
    if "compress" in parts:
        return "v0"
    if "out_norm" in parts:
        return "v3"
    if "out_ln" in parts:  # a compacted v1 may have no `refine`, a v2 neither `high` nor `low`
        return "v2" if "head.proj1.alpha" in keys else "v1"
    raise CheckpointError(
        f"tensors {sorted(keys)[:3]} ... belong to no known head",
        expected="keys such as head.compress.0.weight (v0) or head.out_norm.scale (v3)",
    )


def shape_of(tensors: Mapping[str, tuple[int, ...]]) -> HeadShape:
    """Infer a head's widths and block counts.

    Args:
        tensors: State-dict key to tensor shape.

    Raises:
        CheckpointError: The keys are none of the four heads', or a tensor that tells a width is missing.
    """
    version = detect_version(tensors)
    try:
        if version == "v0":
            hidden, in_dim = tensors["head.compress.0.weight"]
            out_dim, _ = tensors["head.expand.weight"]
            return HeadShape(version, in_dim, hidden, out_dim, high=_blocks(tensors, "refine", "net.0.weight"))
        hidden, in_dim = tensors["head.proj1.linear.weight"]
        out_dim, _ = tensors["head.proj2.linear.weight"]
    except KeyError as missing:
        raise CheckpointError(f"head {version}: tensor {missing} is missing") from missing
    return HeadShape(
        version,
        in_dim,
        hidden,
        out_dim,
        high=_blocks(tensors, "high", "linear.weight"),
        low=_blocks(tensors, "refine" if version == "v1" else "low", "linear.weight"),
        rich=_blocks(tensors, "low", "fc1.weight"),
    )


def _blocks(tensors: Mapping[str, tuple[int, ...]], stage: str, last: str) -> int:
    return sum(key.startswith(f"head.{stage}.") and key.endswith(f".{last}") for key in tensors)
