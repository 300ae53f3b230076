"""The main tables: how well each scorer ranks, with a forest plot, and the contest's figures of distances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import polars as pl
from markupsafe import Markup

from glm_assets.evaluation.figures import NEUTRAL
from glm_assets.evaluation.report.axes import Axis, linear_axis
from glm_assets.evaluation.report.cells import (
    count_cell,
    distance_cell,
    figure_cell,
    group_row,
    header,
    name_cell,
    number_cell,
)
from glm_assets.evaluation.report.data import ReportData
from glm_assets.evaluation.report.markup import breakable, element
from glm_assets.evaluation.report.numbers import known, percent, share
from glm_assets.evaluation.scorer_styles import Style

KIND_TITLES: Final = {
    "head": "Heads",
    "probe": "Probes",
    "zero_shot": "Without training",
    "baseline": "Sequence-blind baselines",
    "predictor": "Published predictors",
}
_LEFT, _RIGHT, _HEIGHT = 8.0, 192.0, 24


def scoreboard(data: ReportData, styles: Mapping[str, Style]) -> Markup:
    """Both tables, the absent scorers named below.

    Args:
        data: The page's data.
        styles: By scorer.
    """
    table = data.comparison.scorers
    parts = [_ranking(table, styles)]
    distances = table.filter(pl.col("cd").is_not_null())
    if distances.height:
        parts += [element("h3", "Figures of distances, as in the contest"), _distances(distances, styles)]
    if data.absent:
        parts.append(_absent(data.absent))
    return Markup("").join(parts)


def _ranking(table: pl.DataFrame, styles: Mapping[str, Style]) -> Markup:
    axis = _forest_axis(table)
    columns = (
        "scorer", _forest_header(axis), ("AUROC", "area under the ROC curve"), ("AUPRC", "average precision"),
        ("macro AUROC", "mean AUROC of the consequence classes that are not small"),
        ("Brier", "mean squared error of the probability"), ("ECE", "expected calibration error"), "variants",
    )  # fmt: skip
    rows: list[Markup] = []
    for kind, title in KIND_TITLES.items():
        own = table.filter(pl.col("kind") == kind)
        rows += [group_row(title, len(columns))] if own.height else []
        rows += [_ranking_row(row, styles[row["name"]], axis) for row in own.iter_rows(named=True)]
    body = element(
        "table",
        header(*columns),
        element("tbody", *rows),
        class_="sortable forest wide",
        id="scoreboard",
    )
    return element("div", body, class_="scroll")


def _ranking_row(row: Mapping[str, Any], style: Style, axis: Axis) -> Markup:
    covered = "" if row["coverage"] >= 1 else f"{percent(row['coverage'])} of the test"
    return element(
        "tr",
        name_cell(row["name"], style, badge=row["recipe"] or ""),
        element("td", _whisker(row, style, axis), class_="plot"),
        figure_cell(row, "auroc"),
        figure_cell(row, "auprc"),
        figure_cell(row, "macro_auroc"),
        figure_cell(row, "brier"),
        number_cell(row["ece"]),
        count_cell(row["rows"], covered or f"{share(row['pathogenic'], row['rows'])} pathogenic"),
        data_scorer=row["name"],
    )


def _forest_axis(table: pl.DataFrame) -> Axis:
    """From a round number below every interval, and 0.5 at most, to 1."""
    ends = [value for value in table["auroc_low"].to_list() + table["auroc"].to_list() if known(value)]
    return linear_axis(max(0.0, min(0.5, *ends, 0.5) - 0.02), 1.0, "AUROC")


def _forest_header(axis: Axis) -> Markup:
    texts = [
        element("text", text, x=f"{_x(axis, value):.1f}", y=16, text_anchor="middle") for value, text in axis.ticks
    ]
    title = "AUROC with its 95 % interval"
    return element("th", element("svg", *texts, viewBox=f"0 0 200 {_HEIGHT}"), class_="plot", title=title)


def _whisker(row: Mapping[str, Any], style: Style, axis: Axis) -> Markup:
    middle = _HEIGHT / 2
    parts = [
        element("line", x1=f"{_x(axis, v):.1f}", x2=f"{_x(axis, v):.1f}", y1=0, y2=_HEIGHT, stroke="#e8ebee")
        for v, _ in axis.ticks
    ]
    guess = f"{_x(axis, 0.5):.1f}"
    parts.append(element("line", x1=guess, x2=guess, y1=0, y2=_HEIGHT, stroke=NEUTRAL, stroke_dasharray="2 2"))
    if known(row["auroc_low"]):
        ends = {"x1": f"{_x(axis, row['auroc_low']):.1f}", "x2": f"{_x(axis, row['auroc_high']):.1f}"}
        parts.append(element("line", y1=middle, y2=middle, stroke=style.colour, stroke_width=2, **ends))
    if known(row["auroc"]):
        at = f"{_x(axis, row['auroc']):.1f}"
        parts.append(element("circle", cx=at, cy=middle, r=3, fill=style.colour))
    return element("svg", *parts, viewBox=f"0 0 200 {_HEIGHT}", aria_hidden="true")


def _x(axis: Axis, value: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * float(axis.place(value))


def _distances(table: pl.DataFrame, styles: Mapping[str, Style]) -> Markup:
    columns = (
        "scorer", "CD", "CDD", ("PCC, ladders", "of substitutions and distance"),
        ("PCC, length", "of indel length and distance: the original's proxy"), "raw sum", "normalised score",
        ("PCC used", "which of the two both scores take"),
    )  # fmt: skip
    rows = [_distance_row(row, styles[row["name"]]) for row in table.iter_rows(named=True)]
    body = element("table", header(*columns), element("tbody", *rows), class_="sortable wide", id="contest")
    return element("div", body, class_="scroll")


def _distance_row(row: Mapping[str, Any], style: Style) -> Markup:
    return element(
        "tr",
        name_cell(row["name"], style),
        distance_cell(row, "cd"),
        distance_cell(row, "cdd"),
        figure_cell(row, "pcc_ladder"),
        figure_cell(row, "pcc_length"),
        figure_cell(row, "raw_sum"),
        figure_cell(row, "normalised", 4),
        element("td", row["pcc_source"], class_="text"),
        data_scorer=row["name"],
    )


def _absent(absent: Mapping[str, str]) -> Markup:
    items = [element("li", element("strong", breakable(name)), f": {reason}") for name, reason in absent.items()]
    return Markup("").join([element("h3", "Not compared"), element("ul", *items, id="absent")])
