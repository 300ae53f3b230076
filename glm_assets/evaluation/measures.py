"""The figures of distances, each with its resamples: CD, CDD, the two PCCs and the contest's two scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from glm_assets.evaluation.bootstrap import Estimate, Resamples, combine, effective_clusters
from glm_assets.evaluation.scores import Scored, SealedTest
from glm_assets.heads.metrics import contrast, pearson_by_group

PccSource = Literal["ladder", "length", "none"]


@dataclass(frozen=True)
class DistanceFigures:
    """What a scorer's distances are worth.

    Attributes:
        cd: Mean distance.
        cdd: Mean distance of pathogenic minus that of benign rows.
        pcc_ladder: Mean over ladders of Pearson's r of substitutions and distance; NaN without ladders.
        ladders: Ladders in that mean: those whose distances take at least two values.
        pcc_length: Mean over groups of Pearson's r of variant length and distance; NaN without such groups.
        groups: Groups in that mean.
    """

    cd: Estimate
    cdd: Estimate
    pcc_ladder: Estimate
    ladders: int
    pcc_length: Estimate
    groups: int

    @property
    def pcc_source(self) -> PccSource:
        """Which PCC the scores take: that of ladders where there are any, as in the contest."""
        if self.ladders:
            return "ladder"
        return "length" if self.groups else "none"

    @property
    def pcc(self) -> Estimate:
        """The PCC of the scores; 0 where there is none, as in the original pipeline."""
        if self.pcc_source == "none":
            return Estimate(0.0, np.zeros_like(self.cd.draws))
        return self.pcc_ladder if self.pcc_source == "ladder" else self.pcc_length

    @property
    def raw_sum(self) -> Estimate:
        """CD + CDD + PCC: what the original pipeline maximises."""
        return combine(lambda cd, cdd, pcc: cd + cdd + pcc, self.cd, self.cdd, self.pcc)

    @property
    def normalised(self) -> Estimate:
        """Mean of CD / 2, (CDD / 2 + 1) / 2 and (PCC + 1) / 2: the best guess of the contest's score."""
        return combine(
            lambda cd, cdd, pcc: (cd / 2 + (cdd / 2 + 1) / 2 + (pcc + 1) / 2) / 3, self.cd, self.cdd, self.pcc
        )


def distance_figures(
    scored: Scored, test: SealedTest, loci: Resamples, ladders: Resamples
) -> DistanceFigures | None:
    """The figures of a scorer's distances, None where it has none.

    Args:
        scored: One of the test's scorers.
        test: The sealed test.
        loci: Resamples of its loci.
        ladders: As many resamples of its ladders.
    """
    if scored.distance is None:
        return None
    distance, label = scored.distance.astype(np.float64), test.label
    length = test.variants["var_len"].to_numpy()
    group = np.unique(test.variants["group"].to_numpy(), return_inverse=True)[1]
    plain = contrast(distance, label, length, group)
    everything = np.ones(len(label), dtype=bool)
    pathogenic, benign = (loci.mean(distance, label == value) for value in (1, 0))
    pcc_length = loci.pearson_by_group(length.astype(np.float64), distance, group)
    pcc_ladder, usable = _ladder_pcc(scored, test, ladders)
    clusters = effective_clusters(loci.cluster)
    return DistanceFigures(
        cd=loci.mean(distance, everything).trusted(clusters),
        cdd=combine(np.subtract, pathogenic, benign).trusted(clusters),
        pcc_ladder=pcc_ladder.trusted(usable),
        ladders=usable,
        pcc_length=Estimate(plain.pcc if plain.groups else np.nan, pcc_length).trusted(clusters),
        groups=plain.groups,
    )


def ladder_clusters(test: SealedTest) -> NDArray[np.int64]:
    """(m,) number of each rung's ladder, 0 to ladders - 1."""
    return np.unique(test.ladders["ladder"].to_numpy(), return_inverse=True)[1].astype(np.int64)


def _ladder_pcc(scored: Scored, test: SealedTest, ladders: Resamples) -> tuple[Estimate, int]:
    """The mean correlation of ladders, and how many have one; whole ladders are resampled."""
    if scored.ladder_distance is None or not test.ladders.height:
        return Estimate(np.nan, np.full(len(ladders.counts), np.nan)), 0
    substitutions = test.ladders["substitutions"].to_numpy().astype(np.float64)
    distance = scored.ladder_distance.astype(np.float64)
    correlations = pearson_by_group(substitutions, distance, ladders.cluster)
    draws = ladders.pearson_by_group(substitutions, distance, ladders.cluster)
    value = float(correlations.mean()) if len(correlations) else np.nan
    return Estimate(value, draws), len(correlations)
