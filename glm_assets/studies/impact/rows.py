"""Which vectors a head is trained on and judged by, and how often an epoch has each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

FULL_SCORE: Final = 10.0
"""The largest impact; targets are impacts divided by it."""


@dataclass(frozen=True)
class Rows:
    """Rows of one split.

    Attributes:
        at: (n,) place of each among the activations.
        target: (n,) impact / 10.
        copies: (n,) how often an epoch has each.
        weight: (n,) relative chance of being drawn; all 1 where copies say it.
    """

    at: NDArray[np.int64]
    target: NDArray[np.float64]
    copies: NDArray[np.int64]
    weight: NDArray[np.float64]

    @classmethod
    def of(cls, table: pl.DataFrame, split: str) -> Rows:
        """Those of a split; `table` holds rows of `impact_training_set` in the activations' order."""
        own = table.with_row_index("at").filter(split=split)
        return cls(
            own["at"].to_numpy().astype(np.int64),
            own["target"].to_numpy().astype(np.float64),
            own["copies_in_training"].to_numpy().astype(np.int64),
            own["weight"].to_numpy().astype(np.float64),
        )

    def __len__(self) -> int:
        return len(self.at)

    @property
    def epoch_rows(self) -> int:
        """Rows of an epoch."""
        return int(self.copies.sum())

    @property
    def is_drawn(self) -> bool:
        """Whether an epoch draws its rows by weight."""
        return bool(len(self) and np.ptp(self.weight) > 0)

    @property
    def importance(self) -> NDArray[np.float64]:
        """(n,) share of an epoch that each row has."""
        together = self.copies * self.weight
        return together / together.sum()
