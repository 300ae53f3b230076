"""`make demo` in a checkout of its own: everything is made once, and by the same commands nothing is again."""

from __future__ import annotations

import csv
import json
import re

import duckdb
import pytest

from glm_assets_tests.checkouts import Checkout, make_installed_checkout


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    return make_installed_checkout(tmp_path / "checkout")


@pytest.mark.system
def test_the_demo_makes_everything_once_and_says_where_it_is(checkout):
    output = checkout.run("make demo", timeout=900)
    stages = re.findall(r"^  (.+?) \d+ s$", output, re.MULTILINE)
    assert stages == [
        "sources",
        *(f"embed chromosome {chrom}" for chrom in ("21", "22", "MT")),
        "train and submit",
        "compare and score",
    ]
    for place in (
        "data/tables/head_comparison/report.html",
        "data/submission/submission.csv",
        "data/warehouse.duckdb",
        "data/heads/",
        "mlflow ui",
        "dagster dev",
    ):
        assert place in output
    with (checkout.folder / "data/submission/submission.csv").open() as stream:
        assert len(list(csv.reader(stream))) == 59
    with duckdb.connect(str(checkout.folder / "data/warehouse.duckdb"), read_only=True) as warehouse:
        (count,) = warehouse.execute("select count(*) from variant_windows").fetchone()
    assert 800 <= count <= 1200

    root = checkout.folder / "data"
    manifests = {path: json.loads(path.read_text())["created"] for path in root.glob("**/manifest.json")}
    assert len(manifests) >= 28
    assert "epoch" in output
    sources, one, _, _, train, _ = re.findall(r"^\$ (dagster asset materialize .+)$", output, re.MULTILINE)
    again = "".join(checkout.run(command) for command in (sources, one, train))
    assert "epoch" not in again
    assert {path: json.loads(path.read_text())["created"] for path in manifests} == manifests
