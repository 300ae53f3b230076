"""Validation pairs as a training and its soups evaluate them: prepared once, if they fit, and kept.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glm_assets.heads import losses, memory
from glm_assets.heads.groups import ORIGINAL_GROUPS, GroupRule
from glm_assets.heads.metrics import Contrast, Scoring, contrast, mean_pearson
from glm_assets.heads.networks import Head
from glm_assets.heads.pair_source import PairBatch, PairSource
from glm_assets.heads.pairs import Pairs
from glm_assets.heads.sampler import in_order

_FLOAT32_BYTES = 4

BatchLoss = Callable[[Tensor, PairBatch], Tensor]


@dataclass(frozen=True)
class Judgement:
    """What validation pairs say of a head.

    Attributes:
        figures: CD, CDD, PCC and the score.
        distance: Distance of each pair (n,), float32.
        loss: Mean loss of the batches; None where none was asked for.
    """

    figures: Contrast
    distance: NDArray[np.float32]
    loss: float | None


class KeptBatches:
    """Pairs in order, as batches that stay on the device in float32 where they fit into half its free memory.

    Args:
        pairs: The pairs.
        device: Where batches go.
        size: Pairs in a batch.
        rule: Which groups of a batch count.
    """

    def __init__(self, pairs: Pairs, device: torch.device, size: int, rule: GroupRule = ORIGINAL_GROUPS) -> None:
        self.pairs = pairs
        self._orders = in_order(len(pairs), size)
        keep = memory.fits(2 * len(pairs) * pairs.dim * _FLOAT32_BYTES, device)
        self._source = PairSource(pairs, device, rule, place="store" if keep else None)
        self._kept = list(self._source.batches(self._orders)) if keep else None

    def __iter__(self) -> Iterator[PairBatch]:
        """The batches."""
        return iter(self._kept) if self._kept is not None else self._source.batches(self._orders)

    def evaluate(self, model: Head, loss: BatchLoss | None = None) -> tuple[NDArray[np.float32], float | None]:
        """Distance of each pair (n,) under a head as it is, dropout off, and the mean loss of the batches."""
        model.eval()
        distances, totals = [], []
        with torch.no_grad():
            for batch in self:
                distances.append(d := pair_distance(model, batch))
                if loss:
                    totals.append(loss(d, batch))
            mean = float(torch.stack(totals).mean()) if loss else None
        return torch.cat(distances).cpu().numpy(), mean


class ValidationSet:
    """Pairs that judge a head, and the mutation ladders beside them.

    Args:
        pairs: The pairs.
        ladders: Their ladders, or None.
        device: Where the head is.
        size: Pairs in a batch.
        rule: Which groups of a batch count in the loss; the figures take every group.
        scoring: How the score is made.
    """

    def __init__(
        self,
        pairs: Pairs,
        ladders: Pairs | None,
        device: torch.device,
        size: int,
        *,
        rule: GroupRule = ORIGINAL_GROUPS,
        scoring: Scoring = "raw_sum",
    ) -> None:
        self._batches = KeptBatches(pairs, device, size, rule)
        self._ladders = KeptBatches(ladders, device, size) if ladders is not None else None
        self._scoring: Scoring = scoring

    def judge(self, model: Head, loss: BatchLoss | None = None) -> Judgement:
        """Judge a head as it is.

        Args:
            model: The head; dropout is off afterwards.
            loss: Loss of a batch with these distances.
        """
        pairs = self._batches.pairs
        distance, mean_loss = self._batches.evaluate(model, loss)
        figures = contrast(
            distance,
            pairs.label,
            pairs.var_len,
            pairs.group,
            pcc_ladder=self._ladder_pcc(model),
            scoring=self._scoring,
        )
        return Judgement(figures, distance, mean_loss)

    def _ladder_pcc(self, model: Head) -> float | None:
        if self._ladders is None:
            return None
        rungs = self._ladders.pairs
        return mean_pearson(self._ladders.evaluate(model)[0], rungs.var_len, rungs.group)


def pair_distance(model: Head, batch: PairBatch) -> Tensor:
    """Distance of each pair of a batch (n,)."""
    return losses.cosine_distance(*in_one_pass(model, batch.ref, batch.var))


def in_one_pass(model: Head, *vectors: Tensor) -> tuple[Tensor, ...]:
    """The head's unit vectors of several tensors (n_i, in_dim), from one pass: small ones cost mostly its overhead."""
    return model(torch.cat(vectors)).split([len(part) for part in vectors])
