"""Pooling over the positions of a window: (b, L, d) activations become (b, d) float32 vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from glm_assets.errors import EncoderError

if TYPE_CHECKING:
    from torch import Tensor

Pooling = Callable[["Tensor"], "Tensor"]


def mean(hidden: Tensor) -> Tensor:
    """Mean over positions in float32, whatever the type of the activations."""
    return hidden.float().mean(dim=1)


def mean_bf16(hidden: Tensor) -> Tensor:
    """Mean over positions with the sum, the length and the quotient each rounded to bfloat16.

    This is how the original pipeline (GitHub Shim-Min-Kyoung/Dacon-2-Medical-AI-MAI-) pools; it costs most of a
    variant's difference and serves to reproduce its vectors only.
    """
    total = hidden.bfloat16().sum(dim=1)
    return (total / total.new_tensor(hidden.shape[1])).float()


POOLINGS: dict[str, Pooling] = {"mean": mean, "mean_bf16": mean_bf16}


def find_pooling(name: str) -> Pooling:
    """The pooling of that name.

    Raises:
        EncoderError: There is none.
    """
    try:
        return POOLINGS[name]
    except KeyError:
        raise EncoderError(f"unknown pooling {name!r}", expected=f"one of {', '.join(POOLINGS)}") from None
