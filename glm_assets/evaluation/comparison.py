"""All scorers on the sealed test: their figures, how they differ, and what follows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.evaluation.bootstrap import Estimate, Resamples, combine
from glm_assets.evaluation.calibration import expected_calibration_error, reliability
from glm_assets.evaluation.measures import DistanceFigures, distance_figures, ladder_clusters
from glm_assets.evaluation.ranked_rows import Ranking
from glm_assets.evaluation.scores import OWN_KINDS, Scored, SealedTest
from glm_assets.evaluation.slices import parts_of, slice_scorer
from glm_assets.storage.schemas import HEAD_COMPARISON, HEAD_DIFFERENCES, HEAD_RELIABILITY, HEAD_SLICES
from glm_assets.storage.tables import Table

_DISTANCE_FIGURES: Final = ("cd", "cdd", "pcc_ladder", "pcc_length", "raw_sum", "normalised")


@dataclass(frozen=True)
class Comparison:
    """What a sealed test says of its scorers.

    Attributes:
        scorers: A row per scorer, the table HEAD_COMPARISON, in the test's order.
        slices: A row per scorer and part of the test, HEAD_SLICES.
        differences: A row per pair and figure, HEAD_DIFFERENCES: all pairs of heads, probes and zero-shot scores,
            and each of those against every baseline and predictor.
        reliability: A row per scorer with probabilities and bin, HEAD_RELIABILITY.
        loci: Loci of the test, which are resampled.
        resamples: How often.
        seed: Of the resamples.
        small_class: A part whose rarer class has fewer rows than this is marked small.
    """

    scorers: pl.DataFrame
    slices: pl.DataFrame
    differences: pl.DataFrame
    reliability: pl.DataFrame
    loci: int
    resamples: int
    seed: int
    small_class: int


@dataclass(frozen=True)
class _Judged:
    """A scorer with what was computed of it."""

    scored: Scored
    ranking: Ranking
    auroc: Estimate
    distances: DistanceFigures | None


def compare(test: SealedTest, *, resamples: int, seed: int, small_class: int) -> Comparison:
    """Judge all scorers of a sealed test on the same resamples of its loci.

    Mutation ladders belong to no labelled variant, so they are resampled by themselves.

    Args:
        test: The sealed test with at least one row of either class.
        resamples: Bootstrap resamples.
        seed: Of the resamples; equal seeds give equal tables.
        small_class: A part whose rarer class has fewer rows than this is marked small.
    """
    cluster = test.cluster
    loci = Resamples.draw(cluster, resamples, seed)
    ladders = Resamples.draw(ladder_clusters(test), resamples, seed)
    parts = parts_of(test.variants)
    judged, rows, slices, curves = [], [], [], []
    for scored in test.scored:
        ranking = Ranking.of(scored.score, test.label, cluster)
        auroc = ranking.auroc(loci).trusted(ranking.effective_loci)
        one = _Judged(scored, ranking, auroc, distance_figures(scored, test, loci, ladders))
        own_slices, macro, classes = slice_scorer(scored, ranking, parts, loci, small_class)
        judged.append(one)
        slices.extend(own_slices)
        rows.append(_row(one, test, loci) | _estimates(macro_auroc=macro) | {"macro_classes": classes})
        curves.extend(_curve(scored, test.label))
    differences = [row for pair in _pairs(judged) for row in _differences(*pair, test, loci)]
    return Comparison(
        scorers=_frame(HEAD_COMPARISON, rows),
        slices=_frame(HEAD_SLICES, slices),
        differences=_frame(HEAD_DIFFERENCES, differences),
        reliability=_frame(HEAD_RELIABILITY, curves),
        loci=loci.counts.shape[1],
        resamples=resamples,
        seed=seed,
        small_class=small_class,
    )


def _row(one: _Judged, test: SealedTest, loci: Resamples) -> dict[str, Any]:
    """A scorer's row of HEAD_COMPARISON, without the mean over classes."""
    scored, ranking, label = one.scored, one.ranking, test.label
    return {
        "name": scored.name,
        "kind": scored.kind,
        "recipe": scored.recipe,
        "rows": len(ranking.row),
        "pathogenic": ranking.pathogenic,
        "benign": ranking.benign,
        "loci": ranking.loci,
        "coverage": len(ranking.row) / len(label),
        "coverage_pathogenic": ranking.pathogenic / int((label == 1).sum()),
        "coverage_benign": ranking.benign / int((label == 0).sum()),
        "resamples": one.auroc.resamples,
        **_estimates(auroc=one.auroc, auprc=ranking.auprc(loci).trusted(ranking.effective_loci)),
        **_distance_row(one.distances),
        **_probability_row(scored.probability, label, loci),
    }


def _distance_row(figures: DistanceFigures | None) -> dict[str, Any]:
    if figures is None:
        return {}
    return {
        "ladders": figures.ladders,
        "pcc_groups": figures.groups,
        "pcc_source": figures.pcc_source,
        **_estimates(**{name: getattr(figures, name) for name in _DISTANCE_FIGURES}),
    }


def _probability_row(
    probability: NDArray[np.float64] | None, label: NDArray[np.int8], loci: Resamples
) -> dict[str, Any]:
    if probability is None:
        return {}
    known = ~np.isnan(probability)
    brier = loci.mean(np.square(probability - label), known)
    ece = expected_calibration_error(probability[known], label[known]) if known.any() else np.nan
    return {**_estimates(brier=brier), "ece": ece}


def _curve(scored: Scored, label: NDArray[np.int8]) -> list[dict[str, Any]]:
    """A scorer's rows of HEAD_RELIABILITY."""
    if scored.probability is None:
        return []
    known = ~np.isnan(scored.probability)
    bins = reliability(scored.probability[known], label[known]).to_dicts() if known.any() else []
    return [{"name": scored.name, "kind": scored.kind, **row} for row in bins]


def _pairs(judged: list[_Judged]) -> Iterator[tuple[_Judged, _Judged]]:
    """All pairs of the study's own scorers, then each of them with every baseline and predictor."""
    own = [one for one in judged if one.scored.kind in OWN_KINDS]
    yield from combinations(own, 2)
    yield from ((one, other) for one in own for other in judged if other.scored.kind not in OWN_KINDS)


def _differences(first: _Judged, second: _Judged, test: SealedTest, loci: Resamples) -> Iterator[dict[str, Any]]:
    """A pair's rows of HEAD_DIFFERENCES."""
    common = first.scored.has_score & second.scored.has_score
    pathogenic = int((common & (test.label == 1)).sum())
    counts = {"rows": int(common.sum()), "pathogenic": pathogenic, "benign": int(common.sum()) - pathogenic}
    counts |= {"coverage": counts["rows"] / len(common)}
    aurocs = (_auroc_within(one, common, loci) for one in (first, second))
    yield _difference(first, second, "auroc", *aurocs) | counts
    if first.distances is None or second.distances is None:
        return
    yield _difference(first, second, "cdd", first.distances.cdd, second.distances.cdd) | counts
    if first.distances.ladders or second.distances.ladders:
        rungs = {"rows": test.ladders.height, "pathogenic": None, "benign": None, "coverage": 1.0}
        correlations = first.distances.pcc_ladder, second.distances.pcc_ladder
        yield _difference(first, second, "pcc_ladder", *correlations) | rungs


def _auroc_within(one: _Judged, rows: NDArray[np.bool_], loci: Resamples) -> Estimate:
    """AUROC over some of the rows that a scorer scores."""
    if rows.sum() == len(one.ranking.row):
        return one.auroc
    ranking = one.ranking.within(rows)
    return ranking.auroc(loci).trusted(ranking.effective_loci)


def _difference(first: _Judged, second: _Judged, metric: str, one: Estimate, other: Estimate) -> dict[str, Any]:
    difference = combine(np.subtract, one, other)
    low, high = difference.interval()
    return {
        "first": first.scored.name,
        "first_kind": first.scored.kind,
        "second": second.scored.name,
        "second_kind": second.scored.kind,
        "metric": metric,
        "first_value": one.value,
        "second_value": other.value,
        "difference": difference.value,
        "low": low,
        "high": high,
        "resamples": difference.resamples,
        "verdict": "first" if low > 0 else "second" if high < 0 else "undecided",
    }


def _estimates(**estimates: Estimate) -> dict[str, float]:
    """Figures with the bounds of their intervals, under the names of the tables' columns."""
    row = {}
    for name, estimate in estimates.items():
        low, high = estimate.interval()
        row |= {name: estimate.value, f"{name}_low": low, f"{name}_high": high}
    return row


def _frame(table: Table, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows as the table declares them; what does not exist is null."""
    complete = [{name: row.get(name) for name in table.schema} for row in rows]
    return pl.DataFrame(complete, schema=table.schema, orient="row").with_columns(
        pl.col(pl.Float64).fill_nan(None)
    )
