"""How well scorers rank within parts of the sealed test.

Classes differ in how often they are pathogenic, so a pooled AUROC rewards knowing the class. Within one it does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.evaluation.bootstrap import Estimate, Resamples
from glm_assets.evaluation.ranked_rows import Ranking
from glm_assets.evaluation.scores import Scored

NONE_GIVEN: Final = "none given"

_LENGTHS: Final = {"1": 1, "2-5": 5, "6-20": 20}
_GENE_ROWS: Final = {"none": 0, "1-9": 9, "10-99": 99}


@dataclass(frozen=True)
class Part:
    """Some rows of the test.

    Attributes:
        by: What they have in common, such as `consequence`.
        value: Its value, such as `missense_variant`.
        rows: (n,) which of all rows they are.
    """

    by: str
    value: str
    rows: NDArray[np.bool_]


def parts_of(variants: pl.DataFrame) -> tuple[Part, ...]:
    """The parts by kind, length of indels, consequence, train rows of the gene, review stars and chromosome.

    Args:
        variants: As in `SealedTest.variants`.

    Returns:
        In this order; within each, classes of lengths and counts ascend and others are sorted by name.
    """
    indel = pl.col("kind") != "snv"
    keys = variants.select(
        kind=pl.col("kind"),
        length=pl.when(indel).then(_class("var_len", _LENGTHS, ">20")),
        consequence=pl.col("consequence").fill_null(NONE_GIVEN),
        gene_rows=_class("train_rows_of_gene", _GENE_ROWS, "100+"),
        stars=pl.col("review_stars").cast(pl.String).fill_null(NONE_GIVEN),
        chromosome=pl.col("chrom"),
    )
    order = {"length": [*_LENGTHS, ">20"], "gene_rows": [*_GENE_ROWS, "100+"]}
    return tuple(
        Part(by, value, (keys[by] == value).fill_null(value=False).to_numpy())
        for by in keys.columns
        for value in sorted(
            keys[by].drop_nulls().unique().to_list(), key=order[by].index if by in order else _natural
        )
    )


def slice_scorer(
    scored: Scored, ranking: Ranking, parts: tuple[Part, ...], resamples: Resamples, small_class: int
) -> tuple[list[dict[str, Any]], Estimate, int]:
    """A scorer's figures in every part, and the mean over classes of consequence.

    Args:
        scored: Whose.
        ranking: Its ranking of all rows.
        parts: As `parts_of` returns them.
        resamples: Of the test's loci.
        small_class: A part whose rarer class has fewer rows than this is small.

    Returns:
        Rows of the table HEAD_SLICES; the mean AUROC of the consequence classes that are not small, each counting
        the same; and how many those are.
    """
    rows, classes = [], []
    for part, own in _within(ranking, parts):
        auroc = own.auroc(resamples).trusted(own.effective_loci)
        small = min(own.pathogenic, own.benign) < small_class
        if part.by == "consequence" and not small:
            classes.append(auroc)
        low, high = auroc.interval()
        rows.append(
            {
                "name": scored.name,
                "kind": scored.kind,
                "by": part.by,
                "value": part.value,
                "rows": len(own.row),
                "pathogenic": own.pathogenic,
                "benign": own.benign,
                "loci": own.loci,
                "prevalence": own.pathogenic / len(own.row) if len(own.row) else np.nan,
                "auroc": auroc.value,
                "auroc_low": low,
                "auroc_high": high,
                "auprc": own.average_precision(),
                "small": small,
            }
        )
    return rows, _mean(classes, len(resamples.counts)), len(classes)


def _within(ranking: Ranking, parts: tuple[Part, ...]) -> Iterator[tuple[Part, Ranking]]:
    for part in parts:
        yield part, ranking.within(part.rows)


def _mean(estimates: list[Estimate], resamples: int) -> Estimate:
    """The mean of some figures; it exists in the resamples in which all of them do."""
    if not estimates:
        return Estimate(np.nan, np.full(resamples, np.nan))
    value = float(np.mean([estimate.value for estimate in estimates]))
    return Estimate(value, np.mean([estimate.draws for estimate in estimates], axis=0))


def _class(column: str, upper: dict[str, int], beyond: str) -> pl.Expr:
    """Name of the first class whose upper border, included, holds a count; `beyond` for larger ones."""
    expression = pl.lit(beyond)
    for name, border in reversed(upper.items()):
        expression = pl.when(pl.col(column).fill_null(0) <= border).then(pl.lit(name)).otherwise(expression)
    return expression


def _natural(value: str) -> tuple[int, str]:
    """Numbers before names, in numeric order."""
    return (int(value), "") if value.isdigit() else (1 << 30, value)
