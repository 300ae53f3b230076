"""The tiny lineage on an object store: a real server, and for every stage a machine that has seen nothing yet."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest

from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.variants import make_clinvar_variants, make_variant_windows
from glm_assets.storage.atomic import file_digest
from glm_assets.storage.products import read_whole
from glm_assets_tests.checkouts import Checkout, make_checkout
from glm_assets_tests.lineage.studies import tiny_environment, tiny_study, write_tiny_profile
from glm_assets_tests.storage.servers import BUCKET, environment, serve_s3
from glm_assets_tests.tiny_run import CHROMOSOMES, MATERIALIZE, STAGES, content_versions

# What no stage of the tiny lineage makes.
BESIDES = f"GLM_REGION=21:{{start}}-{{end}} {MATERIALIZE} 'scored_variants,layer_comparison,head_search'"
# Enough of what they compute for hours elsewhere: here, where they find it counts.
FEW = {
    "search": {"head": "v1", "trials": 2, "epochs": 2},
    "sweep": {"layers": ["blocks.3.mlp.l3", "blocks.10.mlp.l3"], "variants": 40},
}
COUNTS = """
import glm_assets
with glm_assets.open_warehouse() as warehouse:
    print(warehouse.sql("select chrom, label, count(*) from variant_windows group by all order by all").fetchall())
"""


@dataclass(frozen=True)
class Cluster:
    """Machines that share nothing but a data root at a URL.

    Attributes:
        checkout: The project as each of them has it.
        machines: Folder with a folder for each machine.
        objects: Where the server keeps the objects of the data root, as files.
    """

    checkout: Checkout
    machines: Path
    objects: Path

    def machine(self, name: str) -> Checkout:
        """A machine; one with a new name has nothing of the data root."""
        own = {"GLM_LOCAL_DIR": str(self.machines / name)}
        return replace(self.checkout, environment={**self.checkout.environment, **own})


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, tiny_tree) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    settings = tiny_environment(folder / "checkout", tiny_tree)
    write_tiny_profile(folder / "checkout", **FEW)
    with serve_s3(folder / "server") as address:
        settings |= environment(address)
        checkout = make_checkout(folder / "checkout", settings | {"GLM_DATA_ROOT": f"s3://{BUCKET}/glm"})
        yield Cluster(checkout, folder / "machines", folder / "server" / BUCKET / "glm")


@pytest.mark.system
def test_every_stage_of_the_tiny_lineage_finds_on_the_store_what_it_needs(cluster, tmp_path, tiny_tree):
    for number, stage in enumerate(STAGES):
        cluster.machine(f"stage{number}").run(stage, timeout=600)
    start = _first_window(cluster)
    cluster.machine("besides").run(BESIDES.format(start=start, end=start + 2), timeout=600)
    reader = cluster.machine("reader")
    versions = content_versions(reader)
    assert len(versions) == 5 + 3 * len(CHROMOSOMES)
    expected = _in_a_folder(tmp_path, tiny_tree)
    assert {name: versions[name] for name in expected} == expected
    assert not (cluster.checkout.folder / "data").exists()

    manifests = list(cluster.objects.rglob("manifest.json"))
    assert all(read_whole(path.parent) for path in manifests)  # the objects are what a folder would hold
    assert len(manifests) == 3 + 5 * len(CHROMOSOMES) + 16
    assert list(cluster.objects.glob("embeddings/**/*.npy"))

    submission = pl.read_csv(cluster.objects / "submission" / "submission.csv")
    assert submission["ID"].to_list() == pl.read_csv(tiny_tree / "test.csv")["ID"].to_list()
    recorded = json.loads((cluster.objects / "submission" / "manifest.json").read_text())["files"]
    assert recorded["submission.csv"]["sha256"] == file_digest(cluster.objects / "submission" / "submission.csv")

    (cluster.checkout.folder / "counts.py").write_text(COUNTS)
    files = sorted(cluster.objects.glob("tables/variant_windows/chrom=*/part.parquet"))
    windows = pl.concat([pl.read_parquet(file, hive_partitioning=False, glob=False) for file in files])
    counts = windows.group_by("chrom", "label").len().sort("chrom", "label").rows()
    assert reader.run("python counts.py").splitlines()[-1] == str(counts)


@pytest.mark.system
def test_a_stage_that_is_up_to_date_is_found_so_by_a_new_machine(cluster):
    """After the lineage; it fetches no windows and no weights to know."""
    cluster.machine("again").run(STAGES[1], timeout=600)
    here = [path.name for path in (cluster.machines / "again").rglob("*") if path.is_file()]
    assert not any(name.endswith((".pt", ".npy", ".vcf.gz", ".bgz")) for name in here)


@pytest.mark.parametrize(("root", "extras"), [("s3://bucket/glm", True), ("data", False), ("/mnt/s3", False)])
def test_make_demo_installs_what_the_url_needs_and_shows_where_things_are(repository, root, extras):
    shown = subprocess.run(
        ["make", "--dry-run", "--always-make", "demo"],
        check=True,
        cwd=repository,
        env=os.environ | {"GLM_DATA_ROOT": root},
        capture_output=True,
        text=True,
    ).stdout
    assert ("[evo2,tracking,search,s3]" in shown) == extras
    assert f"{root}/submission/submission.csv" in shown
    assert ("glm_assets.open_warehouse()" in shown) == extras


def _first_window(cluster: Cluster) -> int:
    part = cluster.objects / "tables/variant_windows/chrom=21/part.parquet"
    return pl.read_parquet(part, columns=["pos"], hive_partitioning=False, glob=False)["pos"].to_list()[0]


def _in_a_folder(folder: Path, tree: Path) -> dict[str, str]:
    """Versions of what the same study makes in a folder, as far as that is cheap."""
    study, found = tiny_study(folder, tree), {}
    for make in (make_clinvar_release, make_reference_genome, make_glm_checkpoint):
        make(study, lambda _line: None)
    for chrom in CHROMOSOMES:
        for make in (make_clinvar_variants, make_variant_windows):
            manifest = make(study, chrom)
            found[f"{manifest.asset}/{chrom}"] = manifest.data_version
    return found
