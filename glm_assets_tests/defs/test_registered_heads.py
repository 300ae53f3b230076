"""Champions and submissions against what the data root's heads are now: strangers, other encoders, moved aliases."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from glm_assets.errors import MissingUpstreamError
from glm_assets.heads.networks import Head
from glm_assets.heads.pyfunc import head_card
from glm_assets.heads.shapes import ORIGINAL_SHAPES
from glm_assets.heads.weights import write_state
from glm_assets.lineage.comparison import make_head_comparison, move_champions
from glm_assets.lineage.contenders import find_contenders
from glm_assets.lineage.heads import make_head
from glm_assets.lineage.study import Study
from glm_assets.lineage.submission import make_submission
from glm_assets.storage.atomic import write_json
from glm_assets.tracking import MlflowTracker, ModelVersion, NullTracker
from glm_assets.tracking.models import NullRegistry
from glm_assets_tests.lineage.studies import tiny_study

pytest.importorskip("mlflow")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def quiet(_: str) -> None:
    """Progress that nobody reads."""


@pytest.fixture(scope="module")
def study(lineage, tmp_path_factory) -> Study:
    """A copy of the tiny study, for other registries to be asked about."""
    folder = tmp_path_factory.mktemp("copied")
    shutil.copytree(lineage.study.root, folder / "data")
    return tiny_study(folder, lineage.study.profile.ncbi_url)


@pytest.fixture(scope="module")
def tracker(tmp_path_factory) -> MlflowTracker:
    """Another registry than that of the study's heads."""
    return MlflowTracker(f"sqlite:///{tmp_path_factory.mktemp('team') / 'mlflow.db'}")


def registered(
    tracker: MlflowTracker, folder: Path, study: Study, head: str, /, *, width: int = 0, **encoder
) -> str:
    """Register an untrained head as champion that says it was trained on an encoder's vectors."""
    shape = replace(ORIGINAL_SHAPES["v3"], in_dim=width or study.encoder_spec.dimension, hidden=16, out_dim=24)
    torch.manual_seed(1)
    write_state(Head(shape), folder / "model.safetensors")
    write_json(folder / "meta.json", {"encoder": study.encoder_spec.as_dict() | encoder} if encoder else {})
    with tracker.run(head, tags={}, resume_file=folder / "run.json") as run:
        files = [folder / "model.safetensors", folder / "meta.json"]
        version = run.register_model(head, files, head_card(shape))
    tracker.registry.set_alias(head, "champion", version, reason="for the test")
    return version


@pytest.mark.parametrize("changed", ["name", "revision", "layer", "dimension", "pooling"])
def test_a_champion_of_another_encoder_is_absent_with_the_reason(study, tracker, tmp_path, changed):
    width = 2 * study.encoder_spec.dimension if changed == "dimension" else 0
    registered(tracker, tmp_path, study, "head_v3", width=width, **{changed: width or "something_else"})
    contenders = find_contenders(study, tracker.registry)
    reason = contenders.absent["head_v3 champion"]
    assert "another encoder" in reason
    assert f"{changed} {width or 'something_else'}" in reason
    assert "head_v3" not in contenders.champions
    assert "head_v3" in contenders.present
    assert "head_v3 champion" not in [scorer.name for scorer in contenders.scorers]


def test_a_champion_of_an_unknown_encoder_and_another_width_is_absent(study, tracker, tmp_path):
    registered(tracker, tmp_path, study, "head_v2", width=study.encoder_spec.dimension + 1)
    reason = find_contenders(study, tracker.registry).absent["head_v2 champion"]
    assert f"width {study.encoder_spec.dimension + 1}" in reason


def test_a_strangers_version_of_the_same_number_is_judged_and_never_crowned(study, tracker, tmp_path):
    own = study.require(study.head("head_v0")).facts["registered_version"]
    trained = {"name": study.encoder_spec.name}
    assert registered(tracker, tmp_path, study, "head_v0", **trained) == own == "1"
    contenders = find_contenders(study, tracker.registry)
    assert "head_v0 champion" in [scorer.name for scorer in contenders.scorers]
    manifest, _ = make_head_comparison(study, tracker.registry, quiet)
    assert manifest.facts["champions"]["head_v0"]["against"] == "1"
    won = {"estimate": 0.9, "low": 0.8, "high": 0.95}
    champions = {"head_v0": manifest.facts["champions"]["head_v0"] | won}
    convincing = replace(manifest, facts=dict(manifest.facts) | {"champions": champions})
    assert "version 1 is not this head_v0" in move_champions(convincing, tracker.registry, quiet)["head_v0"]
    assert "champion/low" not in tracker.registry.resolve("head_v0", "champion").tags


class OneChampion(NullRegistry):
    """A registry in which nobody, or one version of `head_v1`, is champion."""

    def __init__(self, *versions: ModelVersion) -> None:
        self.found = list(versions)

    def versions(self, name: str) -> list[ModelVersion]:
        return self.found if name == "head_v1" else []


def test_a_comparison_with_ones_own_version_as_champion_is_made_again_when_it_is_no_longer(study):
    facts = study.require(study.head("head_v1")).facts
    own = ModelVersion("head_v1", facts["registered_version"], facts["mlflow_run_id"], ("champion",), {})
    crowned, _ = make_head_comparison(study, OneChampion(own), quiet)
    assert crowned.facts["champions"]["head_v1"]["against"] == own.version
    assert make_head_comparison(study, OneChampion(own), quiet)[0].reused
    without, _ = make_head_comparison(study, OneChampion(replace(own, aliases=())), quiet)
    assert not without.reused
    assert without.facts["champions"]["head_v1"]["against"] is None


@pytest.mark.parametrize("name", ["head_v0", "head_v3"])
def test_a_submission_of_a_head_that_was_trained_again_is_no_longer_current(study, tmp_path, name):
    shutil.copytree(study.root, tmp_path / "data")
    same = tiny_study(tmp_path, study.profile.ncbi_url)
    made = make_submission(same, NullTracker.registry, head=name)
    assert same.finished_submission().data_version == made.data_version
    heads = {head: {"widths": [16, 24], "epochs": 4, "batch_size": 32} for head in ("v0", "v1", "v2", "v3")}
    other = tiny_study(tmp_path, study.profile.ncbi_url, {"heads": heads})
    with pytest.raises(MissingUpstreamError, match=r"head_v\d is absent or out of date"):
        other.finished_submission()
    if name == "head_v0":
        make_head(other, name, NullTracker(), quiet, dagster_run_id="none")
        with pytest.raises(MissingUpstreamError, match="submission is absent or out of date"):
            other.finished_submission()
        make_submission(other, NullTracker.registry, head=name)
        other.finished_submission()
