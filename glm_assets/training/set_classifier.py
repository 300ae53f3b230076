"""A linear classifier of sets of vectors, such as those of a sample's genes.

Importing this module imports torch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glm_assets.errors import TrainingError

POOLINGS = ("mean", "attention")


class SetClassifier(nn.Module):
    """One vector of a set, then a linear layer.

    Args:
        width: Of a vector.
        classes: How many.
        pooling: `mean`, or `attention`: a mean with weights softmax(q x / sqrt(width)), q learned. It begins as
            the plain mean.

    Raises:
        TrainingError: There are too few classes, or the pooling is unknown.
    """

    def __init__(self, width: int, *, classes: int, pooling: str = "mean") -> None:
        super().__init__()
        if classes < 2:
            raise TrainingError(f"{classes} classes", expected="at least 2")
        if pooling not in POOLINGS:
            raise TrainingError(f"unknown pooling {pooling!r}", expected=", ".join(POOLINGS), fix="set pooling")
        self.width, self.classes, self.pooling = width, classes, pooling
        self.query = nn.Parameter(torch.zeros(width)) if pooling == "attention" else None
        self.out = nn.Linear(width, classes)

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """Score classes.

        Args:
            vectors: (b, members, width) float32.
            mask: (b, members), false where a member is missing.

        Returns:
            (b, classes) logits.
        """
        return self.out((self.weights(vectors, mask)[:, :, None] * vectors).sum(dim=1))

    def weights(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """How much each member counts (b, members): they sum to 1 over those that are there, 0 where none is."""
        scores = vectors.new_zeros(mask.shape)
        if self.query is not None:
            scores = vectors @ self.query / self.width**0.5
        shares = torch.softmax(scores.masked_fill(~mask, -torch.inf), dim=1)
        return torch.where(mask, shares, 0.0)
