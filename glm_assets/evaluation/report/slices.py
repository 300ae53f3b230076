"""Tables by class of variants: AUROC of every scorer side by side, and all figures of one scorer at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import polars as pl
from markupsafe import Markup

from glm_assets.evaluation.report.cells import count_cell, figure_cell, header, name_cell, number_cell
from glm_assets.evaluation.report.data import ReportData
from glm_assets.evaluation.report.markup import element
from glm_assets.evaluation.report.numbers import count, decimal, interval, known, share

TITLES: Final = {
    "consequence": "Consequence",
    "kind": "Kind",
    "length": "Length of insertions and deletions",
    "stars": "Review stars",
    "gene_rows": "Training variants of the same gene",
    "chromosome": "Chromosome",
}
"""The ways of cutting the test, the one geneticists look at first in front."""

_BY_SIZE: Final = frozenset({"consequence"})


def slice_tables(data: ReportData) -> Markup:
    """A table for each way of cutting the test, then the table of one scorer with its selector."""
    slices = data.comparison.slices
    tables = [_matrix(by, slices.filter(pl.col("by") == by), data) for by in TITLES]
    return Markup("").join([*tables, _by_scorer(slices, data)])


def _matrix(by: str, part: pl.DataFrame, data: ReportData) -> Markup:
    """Classes as rows and scorers as columns."""
    if not part.height:
        return Markup("")
    names = [one.name for one in data.scored]
    sizes = _sizes(part)
    values = sorted(sizes, key=lambda value: -sizes[value]["rows"]) if by in _BY_SIZE else list(sizes)
    found = {(row["value"], row["name"]): row for row in part.iter_rows(named=True)}
    rows = [_matrix_row(value, sizes[value], [found.get((value, name)) for name in names]) for value in values]
    head = header("class", "variants", *[(name, "AUROC") for name in names])
    table = element("table", head, element("tbody", *rows), class_="sortable wide matrix", id=f"by-{by}")
    return Markup("").join([element("h3", TITLES[by]), element("div", table, class_="scroll")])


def _sizes(part: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """By class, the row of the scorer that covers most of it, in order of first appearance."""
    sizes: dict[str, dict[str, Any]] = {}
    for row in part.iter_rows(named=True):
        if row["value"] not in sizes or row["rows"] > sizes[row["value"]]["rows"]:
            sizes[row["value"]] = row
    return sizes


def _matrix_row(value: str, size: Mapping[str, Any], cells: list[dict[str, Any] | None]) -> Markup:
    pathogenic = f"{share(size['pathogenic'], size['rows'])} path."
    return element(
        "tr",
        name_cell(value, badge="small" if size["small"] else ""),
        count_cell(size["rows"], pathogenic),
        *[_auroc(cell) for cell in cells],
        class_="small" if size["small"] else None,
        data_value=value,
    )


def _auroc(row: Mapping[str, Any] | None) -> Markup:
    """AUROC with its interval; the cell is grey where the class is small for this scorer."""
    if row is None or not known(row["auroc"]):
        why = "none" if row is None or not row["rows"] else "one label only"
        return element("td", decimal(None), element("small", why), data_value="", class_="small")
    below = interval(row["auroc_low"], row["auroc_high"], 2)
    return element(
        "td",
        decimal(row["auroc"]),
        element("small", below),
        data_value=f"{row['auroc']:.10g}",
        class_="small" if row["small"] else None,
        title=f"{count(row['pathogenic'])} pathogenic, {count(row['benign'])} benign",
    )


def _by_scorer(slices: pl.DataFrame, data: ReportData) -> Markup:
    names = [one.name for one in data.scored]
    options = [element("option", name, value=name) for name in names]
    select = element("select", *options, data_rows="by-scorer", aria_label="scorer")
    bodies = [
        element(
            "tbody",
            *[_full_row(row) for row in slices.filter(pl.col("name") == name).iter_rows(named=True)],
            data_scorer=name,
        )
        for name in names
    ]
    head = header("scorer", "cut by", "class", "variants", "pathogenic", "benign", "loci", "AUROC", "AUPRC")
    table = element("table", head, *bodies, class_="sortable", id="by-scorer")
    choose = element("label", "Scorer ", select, class_="choose")
    summary = element("summary", "All figures of one scorer")
    return element("details", summary, choose, element("div", table, class_="scroll"))


def _full_row(row: Mapping[str, Any]) -> Markup:
    return element(
        "tr",
        name_cell(row["name"]),
        element("td", row["by"].replace("_", " "), class_="text"),
        element(
            "td", row["value"], element("span", "small", class_="badge") if row["small"] else "", class_="text"
        ),
        count_cell(row["rows"]),
        count_cell(row["pathogenic"]),
        count_cell(row["benign"]),
        count_cell(row["loci"]),
        figure_cell(row, "auroc"),
        number_cell(row["auprc"]),
        class_="small" if row["small"] else None,
    )
