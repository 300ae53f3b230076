"""One self-contained HTML page of a study: sentences, tables and figures in sections, and how all that was made."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl
from markupsafe import Markup

from glm_assets.evaluation.report.cells import header
from glm_assets.evaluation.report.data import Fact
from glm_assets.evaluation.report.lineage import fact_tables
from glm_assets.evaluation.report.markup import breakable, element
from glm_assets.evaluation.report.numbers import ABSENT, count, small
from glm_assets.evaluation.report.rendering import write_page

_DIGITS: Final = 4

_PNG: Final = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class PageTable:
    """A table on a page.

    Attributes:
        caption: Above it.
        frame: Its rows; the first column heads them.
        titles: What columns are called on the page, where that is not their name.
        most: Rows that are shown; the caption says how many there are.
    """

    caption: str
    frame: pl.DataFrame
    titles: Mapping[str, str] = field(default_factory=dict)
    most: int = 50


@dataclass(frozen=True)
class PageFigure:
    """A picture on a page.

    Attributes:
        path: PNG file; its bytes are written into the page.
        caption: Below it, and read aloud for those who cannot see it.
    """

    path: Path
    caption: str


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading.

    Attributes:
        title: Its heading.
        text: Paragraphs.
        tables: Below them.
        figures: Below these.
        missing: What could not be shown, and why, a sentence each.
    """

    title: str
    text: Sequence[str] = ()
    tables: Sequence[PageTable] = ()
    figures: Sequence[PageFigure] = ()
    missing: Sequence[str] = ()


@dataclass(frozen=True)
class StudyPage:
    """A whole page; all text is escaped.

    Attributes:
        title: Of the page.
        subtitle: Below it: what was studied.
        answer: What was found, in sentences.
        sections: In order.
        unknown: What the reader must not conclude.
        facts: How it was made: section to name to fact, such as models, versions of data and seeds.
    """

    title: str
    subtitle: str
    answer: Sequence[str]
    sections: Sequence[Section]
    unknown: Sequence[str] = ()
    facts: Mapping[str, Mapping[str, Fact]] = field(default_factory=dict)


def write_study_page(path: Path, page: StudyPage) -> None:
    """Write the page; pictures become part of it.

    Args:
        path: The HTML file, replaced when the new one is whole.
        page: What it shows.

    Raises:
        FileNotFoundError: A picture is absent: what may be lacking belongs to `missing` of its section.
    """
    sections = [(f"part-{number}", section) for number, section in enumerate(page.sections, 1)]
    write_page(
        path,
        "study.html.j2",
        title=page.title,
        subtitle=page.subtitle,
        contents=[
            ("answer", "What was found"),
            *((anchor, section.title) for anchor, section in sections),
            ("lineage", "How this was made"),
        ],
        page=page,
        sections=sections,
        table_of=_table,
        figure_of=_figure,
        lineage=fact_tables(page.facts),
    )


def _table(table: PageTable) -> Markup:
    shown = table.frame.head(table.most)
    left = table.frame.height - shown.height
    caption = (
        f"{table.caption} (first {count(shown.height)} of {count(table.frame.height)} rows)" if left else None
    )
    body = [
        element("tr", *(_cell(value, first=place == 0) for place, value in enumerate(row)))
        for row in shown.iter_rows()
    ]
    heads = header(*(_heading(table, name) for name in shown.columns))
    drawn = element(
        "table", element("caption", caption or table.caption), heads, element("tbody", *body), class_="sortable"
    )
    return element("div", drawn, class_="scroll")


def _heading(table: PageTable, name: str) -> Markup:
    text = table.titles.get(name, name.replace("_", " "))
    of_text = table.frame.schema[name] == pl.String
    return element("th", breakable(text), scope="col", class_="text" if of_text else None)


def _cell(value: Any, *, first: bool) -> Markup:
    number = _is_number(value)
    text = _shown(value)
    key = None if not number else "" if value != value else f"{value:.10g}"  # noqa: PLR0124 - NaN
    if first:
        return element("th", breakable(text), scope="row", data_value=key)
    return element("td", text, data_value=key, class_=None if number or value is None else "text")


def _shown(value: Any) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, float) and not value.is_integer():
        return small(value, _DIGITS)
    return count(int(value)) if _is_number(value) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _figure(figure: PageFigure) -> Markup:
    content = figure.path.read_bytes()
    source = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
    # Figures are drawn for 90 dots an inch; a page that shows them at that size keeps their text readable.
    width = int.from_bytes(content[16:20], "big") if content.startswith(_PNG) else None
    image = element("img", src=source, alt=figure.caption, width=width)
    return element("figure", image, element("figcaption", figure.caption), class_="picture")
