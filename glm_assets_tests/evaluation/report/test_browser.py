"""The page in a real browser, opened from disk without a network: sorting, hiding, hovering, choosing, printing."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from glm_assets.evaluation.comparison import compare
from glm_assets.evaluation.report import ReportData, write_report
from glm_assets_tests.evaluation import comparisons

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    test = comparisons.sealed_test(1500)
    comparison = compare(test, resamples=50, seed=1, small_class=20)
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(
        path,
        ReportData(
            comparison,
            test,
            comparisons.FACTS,
            {"head_v0": comparisons.history()},
            {"head_v0": comparisons.SOUP},
        ),
    )
    return path


@pytest.fixture
def opened(browser, file):
    """The page, with every complaint of the browser and every request beyond the file itself."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if request.url != file.as_uri() else None)
    page.goto(file.as_uri())
    yield page
    context.close()
    assert complaints == []


def column(page, table: str, index: int) -> list[float]:
    script = f"[...document.querySelectorAll('#{table} tbody tr')].map((row) => row.cells[{index}].dataset.value)"
    return [float(value) if value else float("nan") for value in page.evaluate(script)]


def test_a_click_on_a_column_sorts_it_and_a_second_one_turns_it_round(opened):
    button = opened.locator("#scoreboard thead th", has_text="AUPRC").locator("button")
    button.click()
    falling = column(opened, "scoreboard", 3)
    assert len(falling) == 11
    assert falling == sorted(falling, reverse=True)
    button.click()
    assert column(opened, "scoreboard", 3) == falling[::-1]


def test_rows_without_a_number_stay_last(opened):
    button = opened.locator("#scoreboard thead th", has_text="Brier").locator("button")
    for _ in range(2):
        button.click()
        values = column(opened, "scoreboard", 5)
        assert [math.isnan(value) for value in values] == [False] * 8 + [True] * 3


def test_a_click_on_a_legend_hides_a_scorer_in_both_charts_and_shows_it_again(opened):
    entry = opened.locator("#curves ~ .linked button[data-toggle=head_v2]").first
    series = opened.locator("#curves ~ .linked").first.locator("[data-series=head_v2]")
    assert series.count() == 2
    entry.click()
    assert entry.get_attribute("aria-pressed") == "false"
    assert [series.nth(place).is_visible() for place in range(2)] == [False, False]
    entry.click()
    assert [series.nth(place).is_visible() for place in range(2)] == [True, True]


def test_the_pointer_is_told_the_scorer_and_the_values(opened):
    chart = opened.locator("svg.hover").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    chart.hover(position={"x": box["width"] * 0.3, "y": box["height"] * 0.08})
    tip = opened.locator(".tip")
    assert tip.is_visible()
    name, _, values = tip.inner_text().partition(": ")
    assert name in [one[0] for one in comparisons.ALL] + ["consequence_rate", "gene_consequence_rate"]
    assert "false positive rate 0." in values
    assert "true positive rate" in values


def test_the_selector_shows_one_scorer_s_rows(opened):
    opened.locator("summary", has_text="All figures of one scorer").click()
    opened.locator("select[data-rows=by-scorer]").select_option("cadd")
    bodies = opened.locator("#by-scorer tbody")
    assert bodies.count() == 11
    visible = [body.get_attribute("data-scorer") for body in bodies.all() if body.is_visible()]
    assert visible == ["cadd"]


@pytest.mark.parametrize("width", [420, 1280])
def test_the_page_itself_never_scrolls_sideways(opened, width):
    opened.set_viewport_size({"width": width, "height": 900})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_without_its_script_the_page_has_all_rows(browser, file):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("#scoreboard tbody tr[data-scorer]").count() == 11
    assert (
        page.locator("#by-scorer tbody tr").count()
        == 11 * page.locator("table[id^=by-]:not(#by-scorer) tbody tr").count()
    )
    assert not page.locator("label.choose").first.is_visible()
    context.close()
