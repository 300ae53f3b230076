"""Figures of judged test tokens with their intervals. Blocks of sequence are resampled: tokens nearby are alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.evaluation.bootstrap import Estimate, Resamples, combine, effective_clusters
from glm_assets.storage.schemas_plant import EVALUATION
from glm_assets.studies.plant.judging import UNIFORM, JudgedTokens

ALL: Final = "all"

_LN2: Final = float(np.log(2))


class TokenFigures:
    """What each predictor makes of the test tokens of a species, or of all.

    Args:
        judged: The tokens.
        k: Bases of a token.
        resamples: Of the blocks.
        seed: Of the draws.

    Attributes:
        tokens: How many.
        blocks: Blocks of sequence that they are of.
        predictors: Names.
    """

    def __init__(self, judged: JudgedTokens, k: int, resamples: int, seed: int) -> None:
        self._judged, self._k = judged, k
        self._drawn = Resamples.draw(judged.block, resamples, seed)
        self._clusters = effective_clusters(judged.block)
        self.tokens, self.blocks = len(judged.block), int(judged.block.max()) + 1
        self.predictors = tuple(judged.nats)
        self._nats = {name: self._mean(nats) for name, nats in judged.nats.items()}

    def bits(self, predictor: str) -> Estimate:
        """Bits per base."""
        return combine(lambda nats: nats / (self._k * _LN2), self._nats[predictor])

    def saved(self, dear: str, cheap: str) -> Estimate:
        """Bits per base that one predictor needs beyond another, resample by resample."""
        return combine(np.subtract, self.bits(dear), self.bits(cheap))

    def table(self, species: str) -> pl.DataFrame:
        """Rows of the table `plant_evaluation`."""
        rows = []
        for name in self.predictors:
            # What is equal everywhere has no interval.
            known = name == UNIFORM
            for figure, estimate in self._figures(name).items():
                low, high = (estimate.value, estimate.value) if known else estimate.interval()
                rows.append((species, name, figure, estimate.value, low, high, self.tokens))
        return pl.DataFrame(rows, EVALUATION.schema, orient="row").with_columns(pl.col(pl.Float64).fill_nan(None))

    def _figures(self, predictor: str) -> dict[str, Estimate]:
        return {
            "bits_per_base": self.bits(predictor),
            "perplexity": combine(np.exp, self._nats[predictor]),
            "accuracy": self._accuracy(predictor),
        }

    def _accuracy(self, predictor: str) -> Estimate:
        if predictor in self._judged.hits:
            return self._mean(self._judged.hits[predictor].astype(np.float64))
        return Estimate(4.0**-self._k if predictor == UNIFORM else np.nan, np.full(1, np.nan))

    def _mean(self, values: NDArray[np.float64]) -> Estimate:
        return self._drawn.mean(values, np.ones(len(values), bool)).trusted(self._clusters)


def pooled(judged: Mapping[str, JudgedTokens]) -> JudgedTokens:
    """The tokens of all species, each species' blocks numbered on."""
    parts = list(judged.values())
    firsts = np.cumsum([0, *(int(part.block.max()) + 1 for part in parts[:-1])])
    return JudgedTokens(
        nats={name: np.concatenate([part.nats[name] for part in parts]) for name in parts[0].nats},
        hits={name: np.concatenate([part.hits[name] for part in parts]) for name in parts[0].hits},
        block=np.concatenate([part.block + first for part, first in zip(parts, firsts.tolist(), strict=True)]),
        by_context={
            name: np.mean([part.by_context[name] for part in parts], axis=0) for name in parts[0].by_context
        },
    )
