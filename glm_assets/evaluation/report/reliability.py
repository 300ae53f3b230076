"""How far the probabilities can be believed: mean probability against the share of pathogenic variants."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from markupsafe import Markup

from glm_assets.evaluation.figures import NEUTRAL
from glm_assets.evaluation.report.axes import linear_axis
from glm_assets.evaluation.report.cells import count_cell, header, name_cell, number_cell
from glm_assets.evaluation.report.chart import Chart
from glm_assets.evaluation.report.data import ReportData
from glm_assets.evaluation.report.legend import legend
from glm_assets.evaluation.report.markup import element
from glm_assets.evaluation.report.numbers import decimal, interval
from glm_assets.evaluation.scorer_styles import Style


def draw_reliability(data: ReportData, styles: Mapping[str, Style]) -> Markup:
    """The chart of all scorers with probabilities and the table behind it, or a sentence where there are none.

    Args:
        data: The page's data.
        styles: By scorer.
    """
    bins = data.comparison.reliability
    names = [one.name for one in data.scored if one.name in set(bins["name"])]
    if not names:
        return element("p", "No scorer of this comparison has probabilities.", class_="none")
    chart = Chart(
        "Share of pathogenic variants by probability",
        linear_axis(0, 1, "mean probability of the bin"),
        linear_axis(0, 1, "pathogenic share of the bin"),
        520,
        390,
        hover=True,
    )
    chart.diagonal(NEUTRAL)
    for name in names:
        own = bins.filter(pl.col("name") == name)
        style = styles[name]
        chart.line(own["probability"], own["observed"], colour=style.colour, dash=style.dash, name=name)
        chart.dots(own["probability"], own["observed"], colour=style.colour, name=name, radius=2.6)
    entries = legend([(name, name, styles[name]) for name in names])
    drawn = element("div", entries, element("div", chart.render(), class_="charts two"), class_="linked")
    return Markup("").join([drawn, _table(bins)])


def _table(bins: pl.DataFrame) -> Markup:
    rows = [
        element(
            "tr",
            name_cell(row["name"]),
            count_cell(row["bin"] + 1),
            count_cell(row["rows"]),
            number_cell(row["probability"]),
            element(
                "td",
                decimal(row["observed"]),
                element("small", interval(row["low"], row["high"])),
                data_value=f"{row['observed']:.10g}",
            ),
        )
        for row in bins.iter_rows(named=True)
    ]
    head = header("scorer", "bin", "variants", "mean probability", "pathogenic share")
    table = element("table", head, element("tbody", *rows), class_="sortable", id="reliability")
    summary = element("summary", "The bins as a table")
    return element("details", summary, element("div", table, class_="scroll"))
