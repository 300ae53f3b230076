"""What the heads of a study may see, and what a training under either recipe leaves."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from glm_assets.defs.checks.heads import head_results
from glm_assets.heads.data import HeadData
from glm_assets.heads.pairs import read_pairs
from glm_assets.lineage import head_data
from glm_assets.lineage.embeddings import make_variant_embeddings
from glm_assets.lineage.head_data import _halve_val, read_head_data
from glm_assets.lineage.heads import make_head
from glm_assets.lineage.ladders import make_mutation_ladders
from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.study import Study
from glm_assets.lineage.variants import make_clinvar_variants, make_variant_windows
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets.storage.tables import read_part
from glm_assets.tracking import NullTracker
from glm_assets_tests.lineage.studies import tiny_study

CHROMOSOMES = ["21", "22"]


def silent(line: str) -> None:
    """Progress that nobody reads."""


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_tree) -> Study:
    """A tiny study with embeddings and ladders. Tests add heads only."""
    pytest.importorskip("vortex")
    study = tiny_study(tmp_path_factory.mktemp("heads"), tiny_tree)
    make_clinvar_release(study, silent)
    make_reference_genome(study, silent)
    make_glm_checkpoint(study, silent)
    for chrom in CHROMOSOMES:
        make_clinvar_variants(study, chrom)
        make_variant_windows(study, chrom)
        make_variant_embeddings(study, chrom, silent)
    make_mutation_ladders(study, silent)
    return study


def rows_of(study: Study) -> pl.DataFrame:
    """The study's variants with their keys."""
    tables = [
        read_part(study.variant_windows(chrom).folder).hstack(
            read_part(study.variant_embeddings(chrom).folder, ["key"])
        )
        for chrom in CHROMOSOMES
    ]
    return pl.concat(tables)


def keys_in(data: HeadData) -> set[str]:
    return {key for pairs in data.sets().values() for key in pairs.keys.to_list()}


def test_no_key_of_a_test_row_is_looked_up(study, monkeypatch):
    looked_up: list[str] = []
    opened = EmbeddingStore.open_pairs

    def watched(self, keys):
        looked_up.extend(keys.to_list())
        return opened(self, keys)

    monkeypatch.setattr(EmbeddingStore, "open_pairs", watched)
    rows = rows_of(study)
    ladders = read_part(study.mutation_ladders().folder)
    data = read_head_data(study, CHROMOSOMES)
    seen = pl.concat([rows.select("key", "split"), ladders.select("key", "split")]).filter(
        pl.col("split") != "test"
    )
    assert set(looked_up) == set(seen["key"]) == keys_in(data)
    sealed = set(rows.filter(pl.col("split") == "test")["key"]) | set(
        ladders.filter(pl.col("split") == "test")["key"]
    )
    assert sealed
    assert sealed.isdisjoint(looked_up)


def test_each_set_has_the_rows_of_its_split_and_no_locus_is_in_both_halves(study):
    rows = rows_of(study)
    data = read_head_data(study, CHROMOSOMES)
    train = rows.filter(pl.col("split") == "train")
    assert data.train.keys.to_list() == train["key"].to_list()
    assert data.train.label.tolist() == train["label"].to_list()
    halves = [rows.filter(pl.col("key").is_in(half.keys.to_list())) for half in (data.val, data.soup_val)]
    assert pl.concat(halves).sort("key")["key"].equals(rows.filter(pl.col("split") == "val").sort("key")["key"])
    loci = [set(half.select(pl.format("{}:{}", "chrom", "locus")).to_series()) for half in halves]
    assert all(loci)
    assert loci[0].isdisjoint(loci[1])
    ref, delta = study.store().read(data.soup_val.keys)
    read = read_pairs(data.soup_val, np.arange(len(data.soup_val)))
    assert (read[:, 0] == ref).all()
    assert (read[:, 1] == delta).all()


def test_the_faithful_recipe_chooses_everything_on_the_same_pairs_and_takes_no_ladders(study):
    data = read_head_data(study, CHROMOSOMES, "faithful")
    assert data.soup_val is data.val
    assert data.ladders is data.val_ladders is None
    assert data.val.keys.to_list() == rows_of(study).filter(pl.col("split") == "val")["key"].to_list()


def test_pairs_are_grouped_as_the_profile_says(study, tmp_path, monkeypatch):
    rows = rows_of(study).filter(pl.col("split") == "train")
    by_gene = read_head_data(study, CHROMOSOMES).train.group
    genes = rows["gene"].to_list()
    assert None in genes or len(set(genes)) > 1
    same = [[a == b if a and b else None for b in genes] for a in genes]
    for i, row in enumerate(same):
        for j, together in enumerate(row):
            if together is not None:
                assert (by_gene[i] == by_gene[j]) == together
    groups = study.profile.groups.model_copy(update={"by": "genomic_bin", "size": 1000})
    changed = study.profile.model_copy(update={"groups": groups})
    monkeypatch.setattr(Study, "profile", property(lambda self: changed))
    by_bin = read_head_data(study, CHROMOSOMES).train.group
    bins = rows.select(pl.struct("chrom", pl.col("window_start") // 1000)).to_series().to_list()
    assert all((by_bin[i] == by_bin[j]) == (a == b) for i, a in enumerate(bins) for j, b in enumerate(bins))


def train(study: Study, name: str, recipe: str | None = None):
    return make_head(study, name, NullTracker(), silent, dagster_run_id="none", recipe=recipe)


def test_poisoned_test_rows_change_no_bit_of_a_head(study, tmp_path, monkeypatch):
    train(study, "head_v0")
    model = study.head_folder("head_v0") / "model.safetensors"
    expected = model.read_bytes()

    rows, ladders = rows_of(study), read_part(study.mutation_ladders().folder)
    keys = pl.concat([rows.select("key", "split"), ladders.select("key", "split")]).unique("key", keep="first")
    ref, delta = study.store().read(keys["key"])
    sealed = (keys["split"] == "test").to_numpy()
    ref[sealed], delta[sealed] = np.nan, np.nan
    poisoned = EmbeddingStore(tmp_path / "poisoned")
    poisoned.append(keys["key"], ref, delta)

    def poisoned_part(folder: Path, columns=None):
        part = read_part(folder, columns)
        if "label" not in part.columns:
            return part
        wrong = pl.when(pl.col("split") == "test").then(pl.lit(None, pl.Int8)).otherwise("label")
        return part.with_columns(wrong.alias("label"))

    monkeypatch.setattr(head_data, "read_part", poisoned_part)
    monkeypatch.setattr(Study, "store", lambda self: poisoned)
    monkeypatch.setattr(Study, "head_folder", lambda self, name, recipe=None: tmp_path / "heads" / name)
    train(study, "head_v0")
    assert (tmp_path / "heads" / "head_v0" / "model.safetensors").read_bytes() == expected


def test_heads_of_both_recipes_lie_side_by_side_and_their_dead_blocks_are_checked(study):
    for version in range(3):
        own, other = train(study, f"head_v{version}"), train(study, f"head_v{version}", "faithful")
    assert study.head_folder("head_v2", "faithful") == study.root / "heads" / "faithful" / "head_v2"
    assert study.head_folder("head_v2", "open") == study.head_folder("head_v2") == study.root / "heads" / "head_v2"
    assert (own.facts["recipe"], own.facts["chosen_on"]) == ("open", "soup_val")
    assert (other.facts["recipe"], other.facts["chosen_on"]) == ("faithful", "val")
    assert other.facts["dead_blocks_share"] == pytest.approx({"start": 8 / 18, "end": 8 / 18})
    assert own.facts["dead_blocks_share"] == {"start": 0.0, "end": 0.0}
    assert "mutation_ladders" in own.inputs
    assert "mutation_ladders" not in other.inputs
    checks = {manifest.facts["recipe"]: head_results(manifest)[1] for manifest in (own, other)}
    assert checks["open"].check_name == "gates_alive"
    assert (checks["open"].passed, checks["open"].severity) == (True, dg.AssetCheckSeverity.ERROR)
    assert (checks["faithful"].passed, checks["faithful"].severity) == (False, dg.AssetCheckSeverity.WARN)
    shown = checks["faithful"].metadata["dead_blocks_share_at_the_start"].value
    assert shown == pytest.approx(8 / 18)


def test_val_is_halved_by_locus_so_that_both_halves_have_both_classes():
    """As BRCA2 does it: one locus holds nearly all pathogenic rows, another one, and some none."""
    sizes = {10: (155, 210), 20: (1, 12), 30: (0, 16), 40: (0, 3), 50: (0, 3)}
    rows = pl.DataFrame(
        [
            {"chrom": "13", "locus": locus, "split": "val", "label": label}
            for locus, (pathogenic, benign) in sizes.items()
            for label in [1] * pathogenic + [0] * benign
        ]
        + [{"chrom": "13", "locus": 60, "split": "train", "label": 1}]
    )
    halved = _halve_val(rows)
    found = {name: set(part["locus"]) for (name,), part in halved.group_by("split")}
    assert found == {"val": {10}, "soup_val": {20, 30, 40, 50}, "train": {60}}
    assert _halve_val(rows.reverse()).reverse().equals(halved)
