"""The page's first lines: which scorer to use, and what these data cannot say."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from glm_assets.evaluation.recommendation import recommend
from glm_assets.evaluation.report.data import ReportData
from glm_assets.evaluation.report.numbers import count, decimal, interval, percent
from glm_assets.evaluation.report.slices import TITLES


def answer(data: ReportData) -> list[str]:
    """Sentences that say which scorer to use, how sure that is, and where it is weakest."""
    recommendation = recommend(data.comparison)
    best = recommendation.scorer or recommendation.best
    return [*recommendation.sentences, *(_by_class(data.comparison.slices, best) if best else ())]


def _by_class(slices: pl.DataFrame, scorer: str) -> Iterator[str]:
    """Its range over the classes of consequence, as a pooled AUROC rewards knowing the class."""
    own = slices.filter(
        (pl.col("name") == scorer)
        & (pl.col("by") == "consequence")
        & ~pl.col("small")
        & pl.col("auroc").is_not_null()
    ).sort("auroc")
    if not own.height:
        yield "No class of consequence is large enough to judge it within one."
        return
    low, high = own.row(0, named=True), own.row(-1, named=True)
    within = f"Within classes of consequence its AUROC is {_class_figure(low)}"
    yield f"{within} at the lowest and {_class_figure(high)} at the highest." if own.height > 1 else f"{within}."


def _class_figure(row: dict) -> str:
    bounds = interval(row["auroc_low"], row["auroc_high"])
    return f"{decimal(row['auroc'])}{' ' if bounds else ''}{bounds} for {row['value']}"


def unknown(data: ReportData) -> list[str]:
    """What the reader must not conclude, most weighty first."""
    parts = (_training, _missing_scorers, _ladders, _small_classes)
    return [*data.cautions, *(sentence for part in parts for sentence in part(data))]


def _training(data: ReportData) -> Iterator[str]:
    if any(one.kind in ("head", "probe") for one in data.scored):
        yield (
            "Heads and probes were trained once: the intervals show what chance in the test variants does, not what "
            "another seed of the training would."
        )


def _missing_scorers(data: ReportData) -> Iterator[str]:
    kinds = {one.kind for one in data.scored}
    if "predictor" not in kinds:
        yield "No published predictor was compared, so whether a head is better than CADD or AlphaMissense is open."
    if "baseline" not in kinds:
        yield "No sequence-blind baseline was compared, so how much of the AUROC is knowledge of genes is open."
    if data.absent:
        yield f"Not compared: {', '.join(data.absent)}; the reasons are below the tables of scorers."
    partial = data.comparison.scorers.filter(pl.col("coverage") < 1)
    for row in partial.iter_rows(named=True):
        yield (
            f"{row['name']} has scores for {percent(row['coverage'])} of the test variants only "
            f"({percent(row['coverage_pathogenic'])} of the pathogenic, {percent(row['coverage_benign'])} of the "
            "benign); compare it by the paired differences, not by its AUROC."
        )


def _ladders(data: ReportData) -> Iterator[str]:
    if not data.test.ladders.height:
        yield "There are no mutation ladders, so the contest's PCC is not known: both scores take the length's."


def _small_classes(data: ReportData) -> Iterator[str]:
    """Which classes are too small, one sentence for each way of cutting the test."""
    limit = data.comparison.small_class
    sizes = data.comparison.slices.group_by("by", "value", maintain_order=True).agg(pl.col("small").all())
    for by, title in TITLES.items():
        small = sizes.filter((pl.col("by") == by) & pl.col("small"))["value"].to_list()
        if small:
            total = sizes.filter(pl.col("by") == by).height
            yield (
                f"{title}: {count(len(small))} of {count(total)} classes have fewer than {count(limit)} variants of "
                f"the rarer label ({', '.join(small)})."
            )
