"""The loss of a causal language model, and the figures that it is told in.

Importing this module imports torch.
"""

from __future__ import annotations

import math
from typing import Final

from torch import Tensor
from torch.nn import functional

_NEXT_TO_NOTHING: Final = 1e-30

LN4: Final = math.log(4)
"""Nats of a base of which nothing is known: a loss above it is worse than an even guess."""


def token_losses(logits: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Cross entropy of each token in nats, in float32 whatever the logits are in.

    Args:
        logits: (b, L, V); row i is about token i of `targets`.
        targets: (b, L) ids.
        label_smoothing: Share of a target's probability that is spread over all V.

    Returns:
        (b, L).
    """
    losses = functional.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), label_smoothing=label_smoothing, reduction="none"
    )
    return losses.view(targets.shape)


def next_token_loss(
    logits: Tensor, targets: Tensor, weights: Tensor, *, label_smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Mean cross entropy of the tokens that count.

    Args:
        logits: (b, L, V); row i is about token i of `targets`.
        targets: (b, L) ids.
        weights: (b, L), 0 where a token is no target.
        label_smoothing: Share of a target's probability that is spread over all V.

    Returns:
        The mean and the sum of weights that it is over; without any weight the mean is 0 and the sum next to nothing,
        by which a step can still be divided.
    """
    total = weights.sum().clamp(min=_NEXT_TO_NOTHING)
    summed = (token_losses(logits, targets, label_smoothing=label_smoothing) * weights).sum()
    return summed / total, total


def language_figures(loss: float, bases_per_token: int) -> dict[str, float]:
    """What a mean loss says.

    Args:
        loss: Nats per token.
        bases_per_token: 1 of a model of bytes, k of one of k-mers.

    Returns:
        `loss`, `perplexity` (per token) and `bits_per_base`.
    """
    return {
        "loss": loss,
        "perplexity": math.exp(min(loss, 700.0)),
        "bits_per_base": loss / (bases_per_token * math.log(2)),
    }
