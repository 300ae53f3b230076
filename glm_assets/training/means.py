"""Means of scalars that are never waited for before somebody wants to know them.

Importing this module imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from glm_assets.training.distributed import ALONE, Ranks


class Means:
    """Weighted means of the scalars of micro-batches, summed where the scalars are.

    Attributes:
        totals: Sums of the scalars times their weights, by name.
        weight: Sum of the weights.
    """

    def __init__(self, totals: Mapping[str, Tensor] | None = None, weight: Tensor | float = 0.0) -> None:
        self.totals: dict[str, Any] = dict(totals or {})
        self.weight = weight

    @classmethod
    def of_first(cls, totals: Mapping[str, Tensor], weight: Tensor | float, ranks: Ranks) -> Means:
        """Sums over all processes, held by the first one."""
        return cls(totals, weight) if ranks.is_first else cls({name: value * 0 for name, value in totals.items()})

    def add(self, scalars: Mapping[str, Tensor], weight: Tensor | float) -> None:
        """Take a micro-batch in."""
        for name, value in scalars.items():
            detached = value.detach()
            self.totals[name] = self.totals.get(name, 0) + (detached if _is_one(weight) else detached * weight)
        self.weight = self.weight + weight

    def values(self, ranks: Ranks = ALONE) -> dict[str, float]:
        """The means over what all processes have taken in, read from the device."""
        weight, totals = self.weight, list(self.totals.values())
        if ranks.size > 1:
            own = torch.tensor([float(value) for value in (weight, *totals)], dtype=torch.float64)
            weight, *totals = ranks.total(own).tolist()
        return {
            name: float(total) / (float(weight) or math.nan)
            for name, total in zip(self.totals, totals, strict=True)
        }

    def merged(self, ranks: Ranks) -> Means:
        """The same, held by the first of several processes; all of them must ask."""
        if ranks.size == 1:
            return self
        totals = {name: ranks.total(torch.as_tensor(value)) for name, value in self.totals.items()}
        return Means.of_first(totals, ranks.total(torch.as_tensor(self.weight)), ranks)


def _is_one(weight: Tensor | float) -> bool:
    return not isinstance(weight, Tensor) and weight == 1.0
