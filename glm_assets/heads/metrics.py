"""The three figures heads are chosen by, as in the original pipeline: CD, CDD and PCC. Numpy only.

Larger is better for all of them, CD included. How they become one score is open: the original adds them up; by what is
known of the contest, it averages them after bringing each to [0, 1]. PCC there is over mutation ladders, which are
windows with 1, 2, 4 .. substitutions; the length of indels stands in for those where there are none.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Scoring = Literal["raw_sum", "normalised"]


@dataclass(frozen=True)
class Contrast:
    """How well distances separate and order variants.

    Attributes:
        cd: Mean distance of all pairs, in [0, 2].
        cdd: Mean distance of pathogenic minus that of benign pairs, in [-2, 2]; a missing class counts as `cd`.
        pcc: Mean over groups of the Pearson correlation of variant length and distance, in [-1, 1]; 0 without any.
        groups: Groups that entered `pcc`.
        pcc_ladder: Mean over mutation ladders of the Pearson correlation of substitutions and distance, in [-1, 1];
            None without ladders.
        scoring: How the score is made of them.
    """

    cd: float
    cdd: float
    pcc: float
    groups: int
    pcc_ladder: float | None = None
    scoring: Scoring = "raw_sum"

    @property
    def score(self) -> float:
        """The raw sum `CD + CDD + PCC`, or the normalised mean of `CD/2`, `(CDD/2 + 1)/2` and `(PCC + 1)/2`.

        The normalised one takes the ladders' PCC where there are ladders.
        """
        if self.scoring == "raw_sum":
            return self.cd + self.cdd + self.pcc
        pcc = self.pcc if self.pcc_ladder is None else self.pcc_ladder
        return (self.cd / 2 + (self.cdd / 2 + 1) / 2 + (pcc + 1) / 2) / 3

    def as_dict(self) -> dict[str, float]:
        """The figures that exist, and the score, as JSON values."""
        figures = {name: value for name, value in asdict(self).items() if name != "scoring" and value is not None}
        return figures | {"score": self.score}


def contrast(
    distance: NDArray[np.floating],
    label: NDArray[np.int8],
    var_len: NDArray[np.int16],
    group: NDArray[np.int64],
    *,
    pcc_ladder: float | None = None,
    scoring: Scoring = "raw_sum",
) -> Contrast:
    """Evaluate distances.

    Args:
        distance: Cosine distance of each pair (n,), n >= 1.
        label: 1 pathogenic, 0 benign (n,).
        var_len: Variant length in bases (n,).
        group: Group of each pair (n,).
        pcc_ladder: As `mean_pearson` gives it for the ladders; None where there are none.
        scoring: How the score is made.
    """
    distance = distance.astype(np.float64)
    cd = float(distance.mean())
    pathogenic, benign = distance[label == 1], distance[label == 0]
    mean_p = float(pathogenic.mean()) if len(pathogenic) else cd
    mean_b = float(benign.mean()) if len(benign) else cd
    r = pearson_by_group(var_len.astype(np.float64), distance, group)
    pcc = float(r.mean()) if len(r) else 0.0
    return Contrast(cd, mean_p - mean_b, pcc, len(r), pcc_ladder, scoring)


def mean_pearson(
    distance: NDArray[np.floating], substitutions: NDArray[np.int16], ladder: NDArray[np.int64]
) -> float:
    """Mean over ladders of the Pearson correlation of substitutions and distance; 0 where none has one.

    Args:
        distance: Cosine distance of each mutated window (n,).
        substitutions: Substitutions in it (n,).
        ladder: Its ladder (n,).
    """
    r = pearson_by_group(substitutions.astype(np.float64), distance.astype(np.float64), ladder)
    return float(r.mean()) if len(r) else 0.0


def pearson_by_group(
    x: NDArray[np.float64], y: NDArray[np.float64], group: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Pearson correlation within each group, for the groups where it exists, in order of group.

    Args:
        x: First variable (n,).
        y: Second variable (n,).
        group: Group of each row (n,).

    Returns:
        One correlation for each group in which both x and y take at least two values.
    """
    if not len(group):
        return np.empty(0)
    order = np.argsort(group, kind="stable")
    x, y, group = x[order], y[order], group[order]
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    sizes = np.diff(np.r_[starts, len(group)])

    def centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values - np.repeat(np.add.reduceat(values, starts) / sizes, sizes)

    def varies(values: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.maximum.reduceat(values, starts) > np.minimum.reduceat(values, starts)

    usable = varies(x) & varies(y)
    x, y = centred(x), centred(y)
    covariance = np.add.reduceat(x * y, starts)[usable]
    variance_x, variance_y = np.add.reduceat(x * x, starts)[usable], np.add.reduceat(y * y, starts)[usable]
    r = covariance / np.sqrt(variance_x * variance_y)
    return r[~np.isnan(r)]
