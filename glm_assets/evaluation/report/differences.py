"""Paired differences: against the strongest sequence-blind baseline, among all scorers, and all of them as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import polars as pl
from markupsafe import Markup

from glm_assets.evaluation.baselines import GENE_CONSEQUENCE
from glm_assets.evaluation.report.cells import count_cell, header, name_cell, number_cell
from glm_assets.evaluation.report.data import ReportData
from glm_assets.evaluation.report.markup import breakable, element
from glm_assets.evaluation.report.numbers import interval, signed
from glm_assets.evaluation.scorer_styles import Style
from glm_assets.evaluation.scores import OWN_KINDS

Outcome = Literal["better", "worse", "open"]

METRICS: Final = {"auroc": "AUROC", "cdd": "CDD", "pcc_ladder": "PCC, ladders"}
_WORDS: Final = {"better": "better", "worse": "worse", "open": "undecided"}


@dataclass(frozen=True)
class Difference:
    """One figure of one scorer less that of another, seen from the first.

    Attributes:
        value: The difference; None where a figure does not exist.
        low: Lower end of its 95 % interval.
        high: Upper end.
        rows: What both score.
        outcome: For the first: better, worse, or open where the interval holds 0.
    """

    value: float | None
    low: float | None
    high: float | None
    rows: int
    outcome: Outcome


def pairwise(frame: pl.DataFrame, metric: str = "auroc") -> dict[tuple[str, str], Difference]:
    """Differences of one figure, by pair, seen from either side.

    Args:
        frame: Rows of the table HEAD_DIFFERENCES.
        metric: Figure.
    """
    found: dict[tuple[str, str], Difference] = {}
    for row in frame.filter(pl.col("metric") == metric).iter_rows(named=True):
        found[row["first"], row["second"]] = _seen(row, forward=True)
        found[row["second"], row["first"]] = _seen(row, forward=False)
    return found


def _seen(row: Mapping[str, Any], *, forward: bool) -> Difference:
    outcome: Outcome = "open"
    if row["verdict"] in ("first", "second"):
        outcome = "better" if (row["verdict"] == "first") == forward else "worse"
    if forward:
        return Difference(row["difference"], row["low"], row["high"], row["rows"], outcome)
    value, low, high = (None if row[key] is None else -row[key] for key in ("difference", "high", "low"))
    return Difference(value, low, high, row["rows"], outcome)


def difference_tables(data: ReportData, styles: Mapping[str, Style]) -> Markup:
    """The three tables.

    Args:
        data: The page's data.
        styles: By scorer.
    """
    frame = data.comparison.differences
    if not frame.height:
        return element("p", "There is one scorer only: nothing to compare.", class_="none")
    pairs = pairwise(frame)
    return Markup("").join([_against_baseline(data, pairs, styles), _matrix(data, pairs), _every_pair(frame)])


def _against_baseline(
    data: ReportData, pairs: Mapping[tuple[str, str], Difference], styles: Mapping[str, Style]
) -> Markup:
    """The line that decides whether a scorer has learned anything of the sequence."""
    title = element("h3", "Against gene × consequence rate, which never sees the sequence")  # noqa: RUF001
    found = [(one, difference) for one in data.scored if (difference := pairs.get((one.name, GENE_CONSEQUENCE)))]
    if not found:
        return Markup("").join(
            [title, element("p", "That baseline is not part of this comparison.", class_="none")]
        )
    rows = [
        element("tr", name_cell(one.name, styles[one.name]), _difference_cell(difference), _verdict_cell(difference),
                count_cell(difference.rows), data_scorer=one.name)
        for one, difference in found
    ]  # fmt: skip
    head = header("scorer", "AUROC less the baseline's", "verdict", "variants both score")
    table = element("table", head, element("tbody", *rows), class_="sortable", id="against-baseline")
    return Markup("").join([title, element("div", table, class_="scroll")])


def _difference_cell(difference: Difference) -> Markup:
    return element(
        "td",
        signed(difference.value),
        element("small", interval(difference.low, difference.high)),
        data_value="" if difference.value is None else f"{difference.value:.10g}",
    )


def _verdict_cell(difference: Difference) -> Markup:
    return element("td", element("span", _WORDS[difference.outcome], class_=f"badge {difference.outcome}"))


def _matrix(data: ReportData, pairs: Mapping[tuple[str, str], Difference]) -> Markup:
    """AUROC of the row's scorer less that of the column's."""
    own = [one.name for one in data.scored if one.kind in OWN_KINDS]
    everyone = [one.name for one in data.scored]
    rows = [
        element("tr", name_cell(row), *[_matrix_cell(pairs, row, column) for column in everyone]) for row in own
    ]
    head = header("row less column", *[(name, "AUROC of the row less this one's") for name in everyone])
    table = element("table", head, element("tbody", *rows), class_="wide matrix", id="difference-matrix")
    note = element(
        "p",
        "Green: the row's scorer is better, its 95 % interval lies above 0; red: worse; grey: the interval holds 0.",
        class_="note",
    )
    title = element("h3", "Every scorer against every other, AUROC")
    return Markup("").join([title, element("div", table, class_="scroll"), note])


def _matrix_cell(pairs: Mapping[tuple[str, str], Difference], row: str, column: str) -> Markup:
    if row == column:
        return element("td", "·", class_="self")
    difference = pairs.get((row, column))
    if difference is None:
        return element("td")
    title = f"{row} less {column}: {signed(difference.value)} {interval(difference.low, difference.high)}"
    return element("td", signed(difference.value), class_=f"verdict {difference.outcome}", title=title)


def _every_pair(frame: pl.DataFrame) -> Markup:
    rows = [_pair_row(row) for row in frame.iter_rows(named=True)]
    head = header("figure", "first", "second", "first's", "second's", "difference", "verdict", "rows")
    table = element("table", head, element("tbody", *rows), class_="sortable", id="differences-all")
    summary = element("summary", "Every pair and figure, with intervals")
    return element("details", summary, element("div", table, class_="scroll"))


def _pair_row(row: Mapping[str, Any]) -> Markup:
    difference = _seen(row, forward=True)
    better = {"first": row["first"], "second": row["second"]}.get(row["verdict"])
    return element(
        "tr",
        element("th", METRICS.get(row["metric"], row["metric"]), scope="row"),
        element("td", breakable(row["first"]), class_="text"),
        element("td", breakable(row["second"]), class_="text"),
        number_cell(row["first_value"]),
        number_cell(row["second_value"]),
        _difference_cell(difference),
        element("td", f"{better} better" if better else "undecided", class_="text"),
        count_cell(row["rows"]),
    )
