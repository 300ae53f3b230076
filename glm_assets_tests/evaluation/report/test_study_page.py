"""A study's page: tables read back, text escaped, numbers written as numbers."""

from __future__ import annotations

import polars as pl
import pytest

from glm_assets.evaluation.figures import new_figure, save_figure
from glm_assets.evaluation.report import PageFigure, PageTable, Section, StudyPage, write_study_page
from glm_assets_tests.evaluation.report.test_page import MINUS, Page

HOSTILE = "<script>alert(1)</script>"


def written(tmp_path, *sections, **more):
    page = StudyPage("A & B", "about", ["found", HOSTILE], sections, **more)
    write_study_page(tmp_path / "page.html", page)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    return text, Page(text).root


def test_tables_show_their_rows_and_sort_by_their_numbers(tmp_path):
    frame = pl.DataFrame(
        {"name": ["a_b", HOSTILE], "loss": [-1.23456, None], "rows": [12_345, 7], "w": [3.0, 0.5]}
    )
    _, page = written(tmp_path, Section("T", tables=[PageTable("c", frame, {"loss": "nats"})]))
    table = page.one("table", class_="sortable")
    assert [cell.text() for cell in table.all("th", scope="col")] == ["name", "nats", "rows", "w"]
    first, second = table.one("tbody").cells()
    assert [cell.text() for cell in first.cells()] == ["a_b", f"{MINUS}1.235", "12,345", "3"]
    assert [cell.attributes.get("data-value") for cell in first.cells()] == [None, "-1.23456", "12345", "3"]
    assert second.cells()[0].text() == HOSTILE
    assert second.cells()[1].text() == "\N{EN DASH}"


def test_long_tables_say_how_much_is_shown(tmp_path):
    _, page = written(tmp_path, Section("T", tables=[PageTable("c", pl.DataFrame({"n": range(99)}), most=10)]))
    assert page.one("caption").text() == "c (first 10 of 99 rows)"
    assert len(page.one("tbody").cells()) == 10


def test_parts_are_listed_and_nothing_becomes_markup(tmp_path):
    save_figure(new_figure((2, 1)), tmp_path / "f.png")
    section = Section(
        HOSTILE, ["text"], figures=[PageFigure(tmp_path / "f.png", "a 'caption'")], missing=["no gold"]
    )
    facts = {"Model": {"seed": "42"}}
    text, page = written(tmp_path, section, unknown=["whether"], facts=facts)
    assert HOSTILE not in text
    anchors = [link.attributes["href"] for link in page.one("nav").all("a")]
    assert anchors == ["#answer", "#part-1", "#lineage"]
    assert [heading.attributes["id"] for heading in page.all("h2")] == [anchor[1:] for anchor in anchors]
    image = page.one("img")
    assert image.attributes["alt"] == "a 'caption'"
    assert image.attributes["width"] == "180"
    assert image.attributes["src"].startswith("data:image/png;base64,")
    for expected in ("no gold", "whether", "42"):
        assert expected in page.text()
    with pytest.raises(FileNotFoundError):
        written(tmp_path, Section("F", figures=[PageFigure(tmp_path / "absent.png", "c")]))
