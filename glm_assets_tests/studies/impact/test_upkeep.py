"""The study in a data root that is planned, pruned and read in notebooks."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import polars as pl
import pytest
import yaml

import glm_assets
from glm_assets.lineage.study import Study
from glm_assets.notebook import StaleWarning
from glm_assets.planning import graph
from glm_assets.planning.plan import make_plan
from glm_assets.pruning.prune import Wishes, find_prunable, prune
from glm_assets.storage.tables import read_part
from glm_assets.studies.impact.study import ImpactStudy
from glm_assets_tests.data_roots import listing, with_settings
from glm_assets_tests.studies.impact.persons import another_of, copy_of

JOBS = ["impact_embed", "impact_train", "impact_predict"]
TWO_DAYS_S = 2 * 24 * 3600


def named(study: ImpactStudy, folder: Path, **changes) -> Study:
    """The main study, with the person's configuration in a file as a user has it."""
    values = another_of(study, **changes).values.model_dump(mode="json")
    path = folder / "person.yaml"
    path.write_text(yaml.safe_dump(values))
    return with_settings(study.main, impact=str(path))


def states(study: Study) -> dict[str, str]:
    found = make_plan(study, JOBS).findings
    return {f"{one.asset}/{one.partition}".rstrip("/"): one.state for one in found}


def test_what_is_made_is_current_and_stays_as_it_is(made, tmp_path):
    study = named(made.study, tmp_path)
    before = listing(study.root)
    assert set(states(study).values()) == {"current"}
    assert len(states(study)) == 2 * 4 + 4
    assert listing(study.root) == before
    assert set(graph.IMPACT) <= {one.asset for one in make_plan(study).findings}  # planned, as they were made


def test_another_choice_of_reads_is_the_reason_and_what_is_below_follows(made, tmp_path):
    study = named(made.study, tmp_path, reads={"per_variant": 2})
    found = states(study)
    stale = {f"impact/read_examples/{chrom}" for chrom in ("21", "22")}
    assert {name for name, state in found.items() if state == "stale"} == stale
    assert {name for name, state in found.items() if state == "current"} == {
        f"impact/{asset}/{chrom}"
        for asset in ("individual_alignments", "individual_variants")
        for chrom in ("21", "22")
    }
    assert found["impact/read_embeddings/21"] == found["impact/report"] == "follows"
    (one,) = make_plan(study, ["impact/read_examples"]).findings[:1]
    assert one.reason == "reads.per_variant 1 then, 2 now"


def test_the_plan_of_another_person_is_to_make_everything(made, tmp_path):
    study = named(made.study, tmp_path, individual="DEMO3", chromosomes=["21"])
    assert set(states(study).values()) == {"absent"}
    assert len(states(study)) == 4 + 4


def age(study: Study) -> None:
    then = time.time() - TWO_DAYS_S
    for path in (study.root / "embeddings").iterdir():
        os.utime(path, (then, then))


def test_vectors_of_the_examples_survive_a_pruning(made, tmp_path):
    study = copy_of(made.study, tmp_path)
    keys = pl.concat([read_part(study.read_embeddings(chrom).files())["key"] for chrom in study.chromosomes])
    assert set(read_part(study.training_set().files())["key"]) == set(keys)
    age(study.main)
    prune(study.main, Wishes(compact=True))
    assert not study.store().missing(keys).any()
    shutil.rmtree(study.main.tables / "impact_training_set")
    age(study.main)
    assert [item for item in find_prunable(study.main, Wishes(compact=True)).items if item.kind == "vectors"] == []
    shutil.rmtree(study.main.tables / "impact_read_embeddings")
    assert "vectors" in {item.kind for item in find_prunable(study.main, Wishes()).items}


def test_no_vectors_go_while_a_persons_chromosome_is_half_embedded(made, tmp_path):
    study = copy_of(made.study, tmp_path)
    folder = study.read_embeddings("22").folder
    shutil.rmtree(study.main.tables / "impact_training_set")
    work = folder.with_name(f".{folder.name}.{'0' * 16}.partial")
    folder.rename(work)
    age(study.main)
    found = find_prunable(study.main, Wishes())
    assert found.items == []
    assert f"vectors are left alone: {work} was left by a run" in found.notes[-1]


def test_no_vectors_go_while_new_reads_are_half_predicted(made, tmp_path):
    study = copy_of(made.study, tmp_path)
    folder = study.predictions_folder
    work = folder.with_name(f".{folder.name}.{'0' * 16}.partial")
    folder.rename(work)
    age(study.main)
    found = find_prunable(study.main, Wishes())
    assert found.items == []
    assert f"vectors are left alone: {work} was left by a run" in found.notes[-1]


@pytest.fixture
def notebook(made, tmp_path, monkeypatch) -> Study:
    study = named(made.study, tmp_path)
    for name in ("profile", "data_root", "ncbi_url", "test_csv", "impact"):
        monkeypatch.setenv(f"GLM_{name.upper()}", str(getattr(study.settings, name)))
    return study


def test_a_notebook_reads_the_persons_tables(made, notebook, monkeypatch, tmp_path):
    own = read_part(made.study.read_examples("21").files())
    assert glm_assets.load("impact_read_examples", chrom="21").equals(own)
    both = glm_assets.load("impact_read_examples", columns=["chrom"])
    assert set(both["chrom"]) == {"21", "22"}
    assert glm_assets.load("impact_report").height > 0
    study = named(made.study, tmp_path, reads={"per_variant": 2})
    monkeypatch.setenv("GLM_IMPACT", str(study.settings.impact))
    with pytest.warns(StaleWarning, match=r"per_variant 1 then, 2 now"):
        assert glm_assets.load("impact_read_examples", chrom="21").equals(own)
