"""Dagster's UI in a real browser, on a small lineage: what a person does there works and shows.

One server serves all tests; `UI_SCREENSHOTS=FOLDER` keeps a picture of each step.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from glm_assets.defs.build import build_defs
from glm_assets.tracking import NullTracker
from glm_assets_tests.checkouts import make_checkout, wait_until
from glm_assets_tests.lineage.studies import tiny_environment, tiny_study
from glm_assets_tests.tiny_run import MATERIALIZE
from glm_assets_tests.webservers import Server, serve

pytestmark = pytest.mark.system

PATIENCE = 120_000  # milliseconds
SENSOR = "clinvar_release_sensor"


@pytest.fixture(scope="module")
def server(tmp_path_factory, tiny_tree):
    """The UI over the sources, which lack an expected chromosome, and the windows of chromosome 21."""
    folder = tmp_path_factory.mktemp("ui") / "checkout"
    checkout = make_checkout(folder, tiny_environment(folder, tiny_tree))
    checkout.run(f"GLM_CHROMOSOMES=21,22,X {MATERIALIZE} clinvar_release")
    checkout.run(f"{MATERIALIZE} reference_genome,glm_checkpoint")
    checkout.run(f"{MATERIALIZE} clinvar_variants,variant_windows --partition 21")
    with serve(checkout, "dagster dev", "/server_info") as server:
        yield server


@pytest.fixture(scope="module")
def groups(tmp_path_factory) -> dict[str, set[str]]:
    """The assets of each group, as the UI writes them."""
    folder = tmp_path_factory.mktemp("graph")
    graph = build_defs(tiny_study(folder, folder), NullTracker()).resolve_asset_graph()
    found: dict[str, set[str]] = {}
    for node in graph.asset_nodes:
        found.setdefault(node.group_name, set()).add(" / ".join(node.key.path))
    return found


@pytest.fixture
def page(browser, server):
    """A window of the UI in which nothing may raise."""
    context = browser.new_context(base_url=server.url, viewport={"width": 1500, "height": 950})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    yield page
    context.close()
    assert failures == []


def picture(page, name: str) -> None:
    """Keep what the window shows, if somebody wants to look."""
    if folder := os.environ.get("UI_SCREENSHOTS"):
        page.wait_for_timeout(1000)  # animations
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_the_lineage_graph_shows_every_group_and_its_assets(page, groups):
    page.goto("/asset-groups")
    for group in groups:
        page.get_by_text(group, exact=True).first.wait_for()
    picture(page, "lineage")
    for group, assets in groups.items():
        page.goto(f"/locations/glm_assets/asset-groups/{group}/list")
        for asset in assets:
            page.get_by_text(asset, exact=True).first.wait_for()


def test_a_partition_materialises_on_a_click_and_succeeds(page, server: Server):
    page.goto("/assets/clinvar_variants?view=partitions&partition=22")
    page.get_by_text("No metadata entries").wait_for()
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_role("button", name="Launch 1 run").click()
    page.get_by_text(re.compile(r"Launched Run|Run .* started", re.IGNORECASE)).first.wait_for()
    wait_until(lambda: server.runs()[0]["status"] in {"SUCCESS", "FAILURE"}, "the run ends", pause=1)
    newest = server.runs()[0]
    assert (newest["status"], newest["assets"], newest["partition"]) == ("SUCCESS", ["clinvar_variants"], "22")
    page.goto("/assets/clinvar_variants?view=partitions&partition=22")
    page.get_by_text("Materialized", exact=True).first.wait_for()
    page.goto(f"/runs/{newest['id']}")
    page.get_by_text("Success", exact=True).first.wait_for()
    picture(page, "run")


def test_a_partition_shows_its_figures_as_numbers_tables_and_plots(page):
    page.goto("/assets/variant_windows?view=partitions&partition=21")
    table = page.locator("tr", has_text="ref_longer_than_window").last
    assert table.locator("td").last.inner_text().isdigit()
    picture(page, "partition")
    page.get_by_text("Show Markdown").first.click()
    plot = page.get_by_role("dialog").locator("img").first
    plot.wait_for()
    assert plot.evaluate("image => image.complete && image.naturalWidth") > 300
    picture(page, "plot")


def test_a_failing_check_shows_with_its_reason(page):
    page.goto("/assets/clinvar_release?view=checks")
    page.get_by_text("has_expected_chromosomes").first.click()
    page.get_by_text("Failed", exact=True).first.wait_for()
    reason = page.locator("tr", has_text="missing").last
    reason.wait_for()
    assert reason.inner_text().split() == ["missing", "X"]
    picture(page, "check")


def test_the_sensor_is_switched_on_and_its_tick_shows(page, server: Server):
    page.goto(f"/locations/glm_assets/sensors/{SENSOR}")
    page.get_by_text("Sensor has never run").wait_for()
    before = {run["id"] for run in server.runs()}
    switch = page.locator("label", has=page.locator("input[type=checkbox]")).first
    switch.click()
    page.get_by_text("1 run requested").first.wait_for()
    picture(page, "sensor")
    switch.click()
    (requested,) = {run["id"] for run in server.runs()} - before
    page.get_by_text(requested[:8]).first.wait_for()
