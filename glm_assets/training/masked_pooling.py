"""One vector for a padded sequence, in float32: what lies where the attention mask is 0 changes nothing.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from glm_assets.encoders.reduction import last_kept, masked_max, masked_mean
from glm_assets.errors import TrainingError


def first_kept(hidden: Tensor, mask: Tensor) -> Tensor:
    """Activations at the first position of the sequence, where models put their `cls`; shapes as of `pool`."""
    first = mask.long().argmax(dim=1)
    return hidden[torch.arange(len(hidden), device=hidden.device), first].float()


POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": masked_mean,
    "max": masked_max,
    "last": last_kept,
    "cls": first_kept,
}


def check_pooling(pooling: str) -> None:
    """Refuse a name that no pooling has.

    Raises:
        TrainingError: Naming those there are.
    """
    if pooling not in POOLINGS:
        raise TrainingError(f"unknown pooling {pooling!r}", expected=", ".join(POOLINGS), fix="set pooling")


def pool(pooling: str, hidden: Tensor, mask: Tensor) -> Tensor:
    """Pool the positions of padded sequences.

    Args:
        pooling: A name in `POOLINGS`.
        hidden: (b, L, d) activations; padding may be on either side.
        mask: (b, L), 0 where there is padding; at least one position of each row is none.

    Returns:
        (b, d) float32.
    """
    return POOLINGS[pooling](hidden, mask)
