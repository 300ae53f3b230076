"""Fitting a linear probe, as the published probes on ClinVar are: standardised differences, an L2 penalty.

The penalty's strength is the one of `STRENGTHS` with the best AUROC on pairs that do not enter the weights; where there
are others, the figures are those of yet other pairs. scikit-learn is imported when a probe is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import TrainingError
from glm_assets.heads.data import HeadData
from glm_assets.heads.pairs import Pairs, read_pairs
from glm_assets.heads.probes import Features, LinearProbe, features_of

STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""scikit-learn's C: the smaller, the stronger the penalty."""

_ITERATIONS = 1000
_BLOCK_ROWS = 16_384


@dataclass(frozen=True)
class ProbeFigures:
    """How a probe fares on validation pairs, none of which it was fitted to.

    Attributes:
        auroc: Area under the receiver operating characteristic.
        auprc: Average precision of the pathogenic class.
        brier: Mean squared error of the probability.
    """

    auroc: float
    auprc: float
    brier: float

    def as_dict(self) -> dict[str, float]:
        """The figures as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class FittedProbe:
    """What a fit gave.

    Attributes:
        probe: The probe.
        strength: Its C.
        tried: C to the AUROC on the pairs that choose it, of every strength.
        figures: On `data.soup_val`.
        val_probability: Probabilities of `data.soup_val`, in its order (n,).
        rows: Training rows used.
        rows_there: Training rows there were.
    """

    probe: LinearProbe
    strength: float
    tried: dict[float, float]
    figures: ProbeFigures
    val_probability: NDArray[np.float64]
    rows: int
    rows_there: int

    def as_dict(self) -> dict[str, Any]:
        """All but the probe and the probabilities as JSON values."""
        return {
            "features": self.probe.features,
            "C": self.strength,
            "auroc_by_C": {f"{strength:g}": auroc for strength, auroc in self.tried.items()},
            "metrics": self.figures.as_dict(),
            "rows": self.rows,
            "rows_there": self.rows_there,
        }


def fit_probe(
    data: HeadData,
    *,
    rows: NDArray[np.int64] | None = None,
    features: Features = "delta",
    progress: Callable[[str], None] = lambda _: None,
) -> FittedProbe:
    """Fit a probe to `data.train` for each strength, and keep the one that ranks `data.val` best.

    Equal AUROCs go to the stronger penalty. The figures are those of `data.soup_val`, as a head's are.

    Args:
        data: The pairs.
        rows: Numbers of the training pairs to fit (m,), as `draw_rows` gives them; all by default.
        features: What the probe sees.
        progress: Called with a line for each strength.

    Raises:
        TrainingError: A class is absent from the rows, or a vector is not finite.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

    rows = np.arange(len(data.train)) if rows is None else rows
    label = data.train.label[rows]
    _require_both_classes(label)
    values, mean, scale = _standardise(_features(features, data.train, rows))
    chooser, judge = (_features(features, pairs) for pairs in (data.val, data.soup_val))
    model = LogisticRegression(max_iter=_ITERATIONS, warm_start=True)
    tried: dict[float, float] = {}
    probes: dict[float, LinearProbe] = {}
    for strength in STRENGTHS:
        model.set_params(C=strength).fit(values, label)
        weight = np.asarray(model.coef_[0], np.float64)
        probes[strength] = LinearProbe(features, mean, scale, weight, float(np.asarray(model.intercept_)[0]))
        tried[strength] = float(roc_auc_score(data.val.label, probes[strength].probability_of(chooser)))
        progress(f"C {strength:g}: AUROC {tried[strength]:.4f} on val")
    best = max(STRENGTHS, key=lambda strength: tried[strength])
    probability, truth = probes[best].probability_of(judge), data.soup_val.label
    figures = ProbeFigures(
        auroc=float(roc_auc_score(truth, probability)),
        auprc=float(average_precision_score(truth, probability)),
        brier=float(brier_score_loss(truth, probability)),
    )
    return FittedProbe(probes[best], best, tried, figures, probability, len(rows), len(data.train))


def draw_rows(keys: Sequence[str], count: int, seed: int) -> NDArray[np.int64]:
    """Numbers of the rows to fit, in order: all, or those whose keys have the smallest hash.

    A row's place plays no part, so one more chromosome changes the draw only by the rows it brings.

    Args:
        keys: Key of each row (n,), such as that of its vectors.
        count: Most rows.
        seed: Another draws other rows.
    """
    if len(keys) <= count:
        return np.arange(len(keys))
    from xxhash import xxh3_64_intdigest

    hashes = np.fromiter((xxh3_64_intdigest(key.encode(), seed) for key in keys), np.uint64, count=len(keys))
    return np.sort(np.argsort(hashes, kind="stable")[:count])


def _standardise(
    values: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Centre and scale in place, as the rows can be many; returns them, the means and the standard deviations."""
    from sklearn.preprocessing import StandardScaler

    if not np.isfinite(values).all():
        raise TrainingError(
            "the training vectors of a probe hold NaN or infinity",
            expected="finite numbers",
            fix="look at the check `finite` of the embeddings",
        )
    scaler = StandardScaler(copy=False).fit(values)
    standardised = np.asarray(scaler.transform(values), np.float32)
    return standardised, np.asarray(scaler.mean_, np.float64), np.asarray(scaler.scale_, np.float64)


def _features(features: Features, pairs: Pairs, rows: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
    """Features of some pairs (m, d), or of all; both vectors are held a block at a time only."""
    rows = np.arange(len(pairs)) if rows is None else rows
    out = np.empty((len(rows), pairs.dim * (2 if features == "ref_delta" else 1)), np.float32)
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = read_pairs(pairs, rows[start : start + _BLOCK_ROWS])
        out[start : start + len(block)] = features_of(features, block[:, 0], block[:, 1])
    return out


def _require_both_classes(label: NDArray[np.integer]) -> None:
    pathogenic, benign = int(np.count_nonzero(label == 1)), int(np.count_nonzero(label == 0))
    if not pathogenic or not benign:
        raise TrainingError(
            f"the rows that a probe is fitted to are {pathogenic} pathogenic and {benign} benign ones",
            expected="at least one of each",
            fix="raise probes.max_rows in the profile",
        )
