"""Legends: a swatch and a name for each series; with the page's script a click hides the series."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from glm_assets.evaluation.report.markup import element
from glm_assets.evaluation.scorer_styles import Style


def swatch(style: Style) -> Markup:
    """A short piece of a series' line."""
    stroke = element(
        "line", x1=0, x2=26, y1=5, y2=5, stroke=style.colour, stroke_width=2.4, stroke_dasharray=style.dash or None
    )
    return element("svg", stroke, viewBox="0 0 26 10", class_="swatch", aria_hidden="true")


def legend(entries: Sequence[tuple[str, str, Style]]) -> Markup:
    """A legend.

    Args:
        entries: Name of the series, what is written, and its style.
    """
    buttons = [
        element("button", swatch(style), text, type="button", data_toggle=name, aria_pressed="true")
        for name, text, style in entries
    ]
    return element("div", *buttons, class_="legend")


def class_legend(entries: Sequence[tuple[str, str]]) -> Markup:
    """A legend of filled areas that hides nothing.

    Args:
        entries: What is written, and its colour.
    """
    items = [
        element("span", element("i", style=f"background:{colour}"), text, class_="class-entry")
        for text, colour in entries
    ]
    return element("div", *items, class_="legend")
