"""Which scorer to use, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from glm_assets.evaluation.baselines import GENE_CONSEQUENCE
from glm_assets.evaluation.comparison import Comparison
from glm_assets.evaluation.scores import OWN_KINDS


@dataclass(frozen=True)
class Recommendation:
    """What a comparison supports.

    Attributes:
        scorer: The scorer to use; None where none is shown to beat the baseline.
        best: The head, probe or zero-shot score with the largest AUROC, whether it beats the baseline or not; None
            where there is none.
        tied: Further scorers that beat the baseline and whose difference from `scorer` is undecided.
        baseline: The sequence-blind baseline to beat; None where the comparison has none.
        sentences: The same in words, for people.
    """

    scorer: str | None
    best: str | None
    tied: tuple[str, ...]
    baseline: str | None
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """The sentences as one paragraph."""
        return " ".join(self.sentences)


def recommend(comparison: Comparison) -> Recommendation:
    """The best scorer by AUROC among those that beat gene x consequence, out of fold, with an interval above 0.

    Args:
        comparison: As `compare` returns it.
    """
    own = comparison.scorers.filter(pl.col("kind").is_in(OWN_KINDS) & pl.col("auroc").is_not_null())
    own = own.sort("auroc", descending=True, maintain_order=True)
    if not own.height:
        return Recommendation(None, None, (), None, ("There is no head, probe or zero-shot score to recommend.",))
    names = own["name"].to_list()
    baseline = GENE_CONSEQUENCE if GENE_CONSEQUENCE in comparison.scorers["name"] else None
    beating = [name for name in names if _beats_baseline(comparison, name)]
    candidates = beating if baseline else names
    if not candidates:
        return Recommendation(None, names[0], (), baseline, _nothing_wins(comparison, names[0]))
    scorer = candidates[0]
    tied = tuple(name for name in candidates[1:] if _undecided(comparison, scorer, name))
    sentences = (
        f"Use {scorer}: {_auroc(comparison, scorer)}.",
        _margin(comparison, scorer) if baseline else "No sequence-blind baseline was compared.",
        _ties(tied, alone=len(names) == 1),
        *_predictors(comparison, scorer),
    )
    return Recommendation(scorer, names[0], tied, baseline, sentences)


def _nothing_wins(comparison: Comparison, best: str) -> tuple[str, ...]:
    bar = f"{GENE_CONSEQUENCE} ({_auroc(comparison, GENE_CONSEQUENCE)})"
    return (
        f"Nothing is shown to beat the sequence-blind baseline {bar}.",
        f"The best is {best}, {_auroc(comparison, best)}.",
        _margin(comparison, best),
        *_predictors(comparison, best),
    )


def _auroc(comparison: Comparison, name: str) -> str:
    row = comparison.scorers.row(by_predicate=pl.col("name") == name, named=True)
    return (
        f"AUROC {row['auroc']:.3f}{_bounds(row['auroc_low'], row['auroc_high'], '.3f')} on {row['rows']:,} variants "
        f"in {row['loci']:,} loci"
    )


def _margin(comparison: Comparison, name: str) -> str:
    row = _pair(comparison, name, GENE_CONSEQUENCE)
    if row is None or row["difference"] is None:
        return f"Its difference from {GENE_CONSEQUENCE} could not be computed."
    return (
        f"Its AUROC less that of {GENE_CONSEQUENCE} is {row['difference']:+.3f}"
        f"{_bounds(row['low'], row['high'], '+.3f')}."
    )


def _ties(tied: tuple[str, ...], *, alone: bool) -> str:
    if tied:
        return f"These data do not tell it apart from {', '.join(tied)}."
    if alone:
        return "No other head, probe or zero-shot score was compared."
    return "No other head, probe or zero-shot score that qualifies is tied with it."


def _predictors(comparison: Comparison, scorer: str) -> Iterator[str]:
    """What the scores of others say of the recommended one."""
    for row in comparison.differences.filter(
        pl.col("first") == scorer, pl.col("second_kind") == "predictor", pl.col("metric") == "auroc"
    ).iter_rows(named=True):
        outcome = {
            "first": f"It is better than {row['second']}",
            "second": f"{row['second']}, which you brought, is better",
        }.get(row["verdict"], f"It cannot be told apart from {row['second']}")
        if row["difference"] is not None:
            yield (
                f"{outcome} on the {row['rows']:,} variants that both score: difference in AUROC "
                f"{row['difference']:+.3f}{_bounds(row['low'], row['high'], '+.3f')}."
            )


def _bounds(low: float | None, high: float | None, form: str) -> str:
    return " (no interval)" if low is None or high is None else f" (95 % {low:{form}} to {high:{form}})"


def _beats_baseline(comparison: Comparison, name: str) -> bool:
    row = _pair(comparison, name, GENE_CONSEQUENCE)
    return row is not None and row["verdict"] == "first"


def _undecided(comparison: Comparison, one: str, other: str) -> bool:
    """Whether two scorers, which the table has in either order, cannot be told apart."""
    row = _pair(comparison, one, other) or _pair(comparison, other, one)
    return row is not None and row["verdict"] == "undecided"


def _pair(comparison: Comparison, first: str, second: str) -> dict[str, Any] | None:
    """The row of two scorers' AUROCs."""
    wanted = (pl.col("first") == first) & (pl.col("second") == second) & (pl.col("metric") == "auroc")
    rows = comparison.differences.filter(wanted).to_dicts()
    return rows[0] if rows else None
