"""The study in a data root that is planned, pruned and read in notebooks."""

from __future__ import annotations

import os
import time
from pathlib import Path

import polars as pl
import pytest
import yaml

import glm_assets
from glm_assets.lineage.study import Study
from glm_assets.planning.plan import make_plan
from glm_assets.pruning.named import NamedVectors
from glm_assets.pruning.prune import Wishes, find_prunable, prune
from glm_assets.studies.metagenome.study import MetagenomeStudy
from glm_assets.studies.metagenome.training import KEYS
from glm_assets_tests.data_roots import listing, with_settings
from glm_assets_tests.studies.metagenome.tiny import tiny_metagenome, train

FROZEN = {"method": "frozen", "lora": None}
TWO_DAYS_S = 2 * 24 * 3600


def named(study: MetagenomeStudy, folder: Path, **changes) -> Study:
    """The main study, with the configuration in a file as a user has it."""
    values = study.values.model_dump(mode="json")
    for section, change in changes.items():
        values[section] |= change
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(values))
    return with_settings(study.main, metagenome=str(path))


def states(study: Study) -> dict[str, str]:
    return {
        one.asset.removeprefix("metagenome/"): one.state
        for one in make_plan(study, ["metagenome_train", "metagenome_predict"]).findings
    }


def test_a_plan_says_what_is_made_and_what_another_split_changes(trained, tmp_path):
    study = trained[0]
    before = listing(study.main.root)
    made = dict.fromkeys(("reads", "splits", "classifier", "evaluation"), "current")
    assert states(named(study, tmp_path)) == made | {"predictions": "absent"}
    other = named(study, tmp_path, split={"val": 25})
    assert states(other) == {
        "reads": "current",
        "splits": "stale",
        "classifier": "follows",
        "evaluation": "follows",
        "predictions": "absent",
    }
    (one,) = make_plan(other, ["metagenome/splits"]).findings
    assert one.reason == "val 20 then, 25 now"
    assert listing(study.main.root) == before


def test_a_notebook_reads_its_tables(trained, tmp_path, monkeypatch):
    study = named(trained[0], tmp_path)
    for name in ("data_root", "metagenome"):
        monkeypatch.setenv(f"GLM_{name.upper()}", str(getattr(study.settings, name)))
    own = pl.read_parquet(trained[0].reads().files() / "part.parquet")
    assert glm_assets.load("metagenome_reads").equals(own)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory, generated) -> tuple[MetagenomeStudy, pl.Series]:
    """A classifier on stored vectors, two days old, and the keys of these."""
    study = tiny_metagenome(tmp_path_factory.mktemp("frozen"), generated, model=FROZEN)
    study.main.claim()
    train(study)
    then = time.time() - TWO_DAYS_S
    for path in (study.main.root / "embeddings").iterdir():
        os.utime(path, (then, then))
    return study, pl.read_parquet(study.classifier_folder / KEYS)["key"]


def test_vectors_of_a_frozen_classifier_survive_a_pruning(frozen):
    study, keys = frozen
    assert find_prunable(study.main, Wishes(compact=True)).items == []
    prune(study.main, Wishes(compact=True))
    assert not study.main.store("float32").missing(keys).any()
    assert set(keys.str.decode("hex")) <= set(NamedVectors(study.main).keys())


def test_no_vectors_go_while_a_frozen_classifier_is_half_made(frozen):
    study, _ = frozen
    folder = study.classifier_folder
    work = folder.with_name(f".{folder.name}.{'0' * 16}.partial")
    folder.rename(work)
    try:
        found = find_prunable(study.main, Wishes())
        assert found.items == []
        assert f"vectors are left alone: {work} was left by a run" in found.notes[-1]
        work.rename(folder.with_name("aside"))
        work = folder.with_name("aside")
        assert {item.kind for item in find_prunable(study.main, Wishes()).items} == {"vectors"}
    finally:
        work.rename(folder)
