"""`make demo-studies` in a checkout of its own: each asset of the studies is made once, with tables and figures."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import duckdb
import pytest

from glm_assets_tests.checkouts import Checkout, make_installed_checkout
from glm_assets_tests.tiny_run import MATERIALIZE

CHROMOSOMES = ("21", "22")
VARIETY = "SYN22"
SPECIES = ("fictaria", "mockoryza", "phantobrassica")
ASSETS = (
    ("impact", CHROMOSOMES, "individual_alignments individual_variants read_examples read_embeddings"),
    ("impact", ("",), "training_set head report predictions"),
    ("metagenome", ("",), "reads splits classifier evaluation predictions"),
    ("sugarcane", (VARIETY,), "genome annotation genome_profile units token_shards search lora_adapter"),
    ("sugarcane", (VARIETY,), "unit_scores token_profiles generations model_comparison report"),
    ("plant", SPECIES, "genome tokens"),
    ("plant", ("",), "lm evaluation generations phenotypes phenotype_head report"),
)
PRODUCTS = {
    f"{study}/{name}:{partition}"
    for study, partitions, names in ASSETS
    for name in names.split()
    for partition in partitions
}
TABLES = (
    *("impact_read_examples", "impact_report", "impact_predictions"),
    *("metagenome_reads", "metagenome_evaluation", "metagenome_predictions"),
    *("sugarcane_genome", "sugarcane_annotation", "sugarcane_units", "sugarcane_unit_scores"),
    *("sugarcane_token_profiles", "sugarcane_generations", "sugarcane_genome_profile"),
    *("sugarcane_model_comparison", "sugarcane_search"),
    *("plant_genome", "plant_evaluation", "plant_generations", "plant_phenotypes", "plant_phenotype_head"),
)
FIGURES = {
    "tables/impact_read_examples": 2 * 2,
    "studies/impact": 3,
    "tables/impact_report": 8,
    "tables/impact_predictions": 2,
    "tables/metagenome_splits": 1,
    "studies/metagenome": 1,
    "tables/metagenome_evaluation": 5,
    "tables/metagenome_predictions": 1,
    "tables/sugarcane_units": 2,
    "tables/sugarcane_genome_profile": 4,
    "tables/sugarcane_search": 1,
    "studies/sugarcane": 1,
    "tables/sugarcane_unit_scores": 3,
    "tables/sugarcane_token_profiles": 3,
    "tables/sugarcane_generations": 4,
    "tables/sugarcane_model_comparison": 3,
    "studies/plant": 1,
    "tables/plant_evaluation": 2,
    "tables/plant_generations": 1 + len(SPECIES),
    "tables/plant_phenotypes": 1,
    "tables/plant_phenotype_head": 2,
}
# The pages, and how many figures each has at least.
PAGES = {
    f"tables/sugarcane_report/variety={VARIETY}/report.html": 15,
    "tables/plant_report/report.html": 8,
}
# What is asked for again: training, which costs most.
TRAINED = ("plant/lm",)
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
    return {name: reused for name, reused in found.items() if "/" in name}


def planned(checkout: Checkout) -> dict[str, str]:
    """What would be done about each product, by name and partition."""
    names = ",".join(sorted({product.partition(":")[0] for product in PRODUCTS}))
    told = json.loads(checkout.run(f"glm-assets plan --json --select {names}"))
    return {f"{one['asset']}:{one['partition'] or ''}": one["state"] for one in told["assets"]}


def facts(product: Path) -> dict:
    """What a product says of itself."""
    return json.loads((product / "manifest.json").read_text())["facts"]


def manifests(root: Path) -> dict[Path, int]:
    """When each product was written."""
    return {path: path.stat().st_mtime_ns for path in root.glob("**/manifest.json")}


@pytest.mark.system
def test_the_studies_are_made_once_and_say_where_they_are(tmp_path):
    checkout = make_installed_checkout(tmp_path / "checkout")
    root = checkout.folder / "data"
    output = checkout.run("make demo-studies", timeout=1800)
    assert re.findall(r"^  (.+?) \d+ s$", output, re.MULTILINE) == [
        "sources",
        *(f"impact chromosome {chrom}" for chrom in CHROMOSOMES),
        "impact",
        "metagenome",
        f"sugarcane variety {VARIETY}",
        *(f"plant species {species}" for species in SPECIES),
        "plant",
    ]
    for place in ("studies/impact/", "studies/metagenome/", *PAGES):
        assert f"data/{place}" in output
    assert "dagster dev" in output
    assert history(checkout) == dict.fromkeys(PRODUCTS, False)

    drawn = {folder: len(list((root / folder).glob("**/*.png"))) for folder in FIGURES}
    assert drawn == FIGURES
    for page, figures in PAGES.items():
        assert (root / page).read_text().count("data:image/png;base64,") >= figures
    for name in ("impact_predictions/individual=DEMO1/predictions.csv", "metagenome_predictions/predictions.csv"):
        assert len((root / "tables" / name).read_text().splitlines()) > 50
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as warehouse:
        rows = {name: warehouse.execute(f"select count(*) from {name}").fetchone()[0] for name in TABLES}
        (labels,) = warehouse.execute("select count(distinct label) from metagenome_reads").fetchone()
    assert min(rows.values()) > 0, rows
    assert rows["impact_read_examples"] > 100
    assert labels == 4
    fine_tuned = facts(root / f"studies/sugarcane/lora_adapter/variety={VARIETY}")
    assert fine_tuned["best_loss"] < min(fine_tuned["zero_shot_loss"], math.log(4))
    assert facts(root / "studies/plant/lm")["bits_per_base"] < 2

    made = manifests(root)
    states = planned(checkout)
    assert {product: states[product] for product in PRODUCTS} == dict.fromkeys(PRODUCTS, "current")
    again = checkout.run(f"{MATERIALIZE} '{','.join(TRAINED)}'")
    assert "epoch" not in again
    assert manifests(root) == made
    repeated = {f"{name}:" for name in TRAINED}
    assert history(checkout) == {name: name in repeated for name in PRODUCTS}
