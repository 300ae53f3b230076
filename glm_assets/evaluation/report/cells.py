"""Table cells that sort by their number and show it with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from glm_assets.evaluation.report.markup import breakable, element
from glm_assets.evaluation.report.numbers import count, decimal, interval, known, small
from glm_assets.evaluation.scorer_styles import Style

Row = Mapping[str, Any]


def figure_cell(row: Row, column: str, digits: int = 3) -> Markup:
    """A figure with its interval below, where the row has one.

    Args:
        row: A row of a table of the comparison.
        column: Name of the figure; its interval lies in `<column>_low` and `<column>_high`.
        digits: Decimals.
    """
    value = row[column]
    below = interval(row.get(f"{column}_low"), row.get(f"{column}_high"), digits)
    return element(
        "td", decimal(value, digits), element("small", below) if below else "", data_value=_sorted(value)
    )


def distance_cell(row: Row, column: str) -> Markup:
    """A mean distance, whose size may be anything, with its interval below."""
    value, low, high = row[column], row.get(f"{column}_low"), row.get(f"{column}_high")
    below = element("small", f"[{small(low)}, {small(high)}]") if known(low) and known(high) else ""
    return element("td", small(value), below, data_value=_sorted(value))


def number_cell(value: float | None, digits: int = 3) -> Markup:
    """A number alone."""
    return element("td", decimal(value, digits), data_value=_sorted(value))


def count_cell(value: int | None, below: str = "") -> Markup:
    """A whole number, with a remark below."""
    remark = element("small", below) if below else ""
    return element("td", count(value), remark, data_value="" if value is None else value)


def name_cell(name: str, style: Style | None = None, badge: str = "") -> Markup:
    """A row's heading: a scorer with its colour, or a class of variants."""
    dot = (
        element("svg", _dot(style), viewBox="0 0 10 10", width=10, height=10, aria_hidden="true") if style else ""
    )
    mark = element("span", badge, class_="badge") if badge else ""
    return element("th", dot, " " if style else "", breakable(name), mark, scope="row")


def header(*columns: str | tuple[str, str]) -> Markup:
    """A table's head.

    Args:
        columns: What is written, that and an explanation shown on hovering, or a whole cell.
    """
    cells = [column if isinstance(column, Markup) else _heading(column) for column in columns]
    return element("thead", element("tr", *cells))


def _heading(column: str | tuple[str, str]) -> Markup:
    text, why = (column, None) if isinstance(column, str) else column
    return element("th", breakable(text), title=why, scope="col")


def group_row(text: str, columns: int) -> Markup:
    """A heading within a table."""
    return element("tr", element("th", text, colspan=columns, scope="colgroup"), class_="group")


def _dot(style: Style) -> Markup:
    return element("circle", cx=5, cy=5, r=4, fill=style.colour)


def _sorted(value: float | None) -> str:
    return f"{value:.10g}" if value is not None and known(value) else ""
