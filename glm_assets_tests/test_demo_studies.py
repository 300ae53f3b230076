"""`make demo-studies` in a checkout of its own: each asset of both studies is made once, with tables and figures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb
import pytest

from glm_assets_tests.checkouts import Checkout, make_installed_checkout
from glm_assets_tests.tiny_run import MATERIALIZE

CHROMOSOMES = ("21", "22")
OF_A_CHROMOSOME = ("individual_alignments", "individual_variants", "read_examples", "read_embeddings")
OF_ALL = (
    *(f"impact/{name}" for name in ("training_set", "head", "report", "predictions")),
    *(f"metagenome/{name}" for name in ("reads", "splits", "classifier", "evaluation", "predictions")),
)
TABLES = ("impact_report", "impact_predictions", "metagenome_evaluation", "metagenome_predictions")
FIGURES = {
    "tables/impact_read_examples": 2 * 2,
    "studies/impact": 3,
    "tables/impact_report": 8,
    "tables/impact_predictions": 2,
    "tables/metagenome_splits": 1,
    "studies/metagenome": 1,
    "tables/metagenome_evaluation": 5,
    "tables/metagenome_predictions": 1,
}
# The newest materialization of each asset and partition, and whether it says that nothing was computed.
_HISTORY = """
import json

import dagster as dg

found = {}
with dg.DagsterInstance.from_config(".") as instance:
    for key in instance.all_asset_keys():
        records = instance.fetch_materializations(key, limit=20, ascending=True).records
        for event in (record.asset_materialization for record in records):
            found[f"{key.to_user_string()}:{event.partition or ''}"] = event.metadata["reused"].value
print(json.dumps(found))
"""


def history(checkout: Checkout) -> dict[str, bool]:
    """Whether each asset of the studies, by name and partition, was reused when it was last materialised."""
    (checkout.folder / "history.py").write_text(_HISTORY)
    found: dict[str, bool] = json.loads(checkout.run("python history.py").splitlines()[-1])
    return {name: reused for name, reused in found.items() if name.startswith(("impact/", "metagenome/"))}


def manifests(root: Path) -> dict[Path, int]:
    """When each product was written."""
    return {path: path.stat().st_mtime_ns for path in root.glob("**/manifest.json")}


@pytest.mark.system
def test_the_studies_are_made_once_and_say_where_they_are(tmp_path):
    checkout = make_installed_checkout(tmp_path / "checkout")
    root = checkout.folder / "data"
    output = checkout.run("make demo-studies", timeout=900)
    assert re.findall(r"^  (.+?) \d+ s$", output, re.MULTILINE) == [
        "sources",
        *(f"impact chromosome {chrom}" for chrom in CHROMOSOMES),
        "impact",
        "metagenome",
    ]
    for place in ("data/studies/impact/", "data/studies/metagenome/", "dagster dev"):
        assert place in output

    of_chromosomes = {f"impact/{name}:{chrom}" for name in OF_A_CHROMOSOME for chrom in CHROMOSOMES}
    expected = of_chromosomes | {f"{name}:" for name in OF_ALL}
    assert history(checkout) == dict.fromkeys(expected, False)

    drawn = {folder: len(list((root / folder).glob("**/*.png"))) for folder in FIGURES}
    assert drawn == FIGURES
    for name in ("impact_predictions/individual=DEMO1/predictions.csv", "metagenome_predictions/predictions.csv"):
        assert len((root / "tables" / name).read_text().splitlines()) > 50
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as warehouse:
        rows = {name: warehouse.execute(f"select count(*) from {name}").fetchone()[0] for name in TABLES}
        (reads,) = warehouse.execute("select count(*) from impact_read_examples").fetchone()
        (labels,) = warehouse.execute("select count(distinct label) from metagenome_reads").fetchone()
    assert min(rows.values()) > 0
    assert reads > 100
    assert labels == 4

    made = manifests(root)
    partitioned = ",".join(f"impact/{name}" for name in OF_A_CHROMOSOME)
    again = checkout.run(f"{MATERIALIZE} '{partitioned}' --partition {CHROMOSOMES[0]}")
    again += checkout.run(f"{MATERIALIZE} '{','.join(OF_ALL)}'")
    assert "epoch" not in again
    assert manifests(root) == made
    repeated = expected - {f"impact/{name}:{CHROMOSOMES[1]}" for name in OF_A_CHROMOSOME}
    assert history(checkout) == {name: name in repeated for name in expected}
