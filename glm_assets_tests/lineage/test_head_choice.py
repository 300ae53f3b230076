"""Which head a submission takes: by name, alias, version or path, and which it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from glm_assets.errors import CheckpointError, EncoderError, MissingUpstreamError, TrackingError
from glm_assets.heads.apply import embed, load_head
from glm_assets.heads.networks import Head
from glm_assets.heads.pyfunc import head_card
from glm_assets.heads.shapes import ORIGINAL_SHAPES, HeadShape
from glm_assets.heads.weights import write_state
from glm_assets.lineage.embeddings import make_test_embeddings
from glm_assets.lineage.head_choice import check_encoder, choose_head
from glm_assets.lineage.sources import make_glm_checkpoint
from glm_assets.lineage.study import Study
from glm_assets.lineage.submission import make_submission, make_test_sequences
from glm_assets.storage.atomic import write_json
from glm_assets.storage.tables import read_part
from glm_assets.tracking import MlflowTracker, NullTracker
from glm_assets_tests.lineage.studies import tiny_study

pytest.importorskip("mlflow")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
NOWHERE = NullTracker().registry


def silent(line: str) -> None:
    """Progress that nobody reads."""


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_tree) -> Study:
    """A study with embedded test sequences and no trained head."""
    study = tiny_study(tmp_path_factory.mktemp("study"), tiny_tree)
    make_glm_checkpoint(study, silent)
    make_test_sequences(study)
    make_test_embeddings(study, silent)
    return study


@pytest.fixture(scope="module")
def shape(study) -> HeadShape:
    return replace(ORIGINAL_SHAPES["v3"], in_dim=study.sequence_spec.dimension, hidden=16, out_dim=24)


def head_of(shape: HeadShape, seed: int) -> Head:
    torch.manual_seed(seed)
    head = Head(shape)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(0, 0.3)
    return head.eval()


@pytest.fixture(scope="module")
def tracker(study, shape) -> MlflowTracker:
    """Versions 1 and 2 of `head_v3`, trained here as far as their papers say; 2 is champion."""
    folder = study.root.parent
    tracker = MlflowTracker(f"sqlite:///{folder / 'mlflow' / 'mlflow.db'}")
    for seed in (1, 2):
        place = folder / f"trained{seed}"
        write_state(head_of(shape, seed), place / "model.safetensors")
        write_json(place / "meta.json", {"encoder": study.encoder_spec.as_dict()})
        with tracker.run("head_v3", tags={}, resume_file=place / "run.json") as run:
            files = [place / "model.safetensors", place / "meta.json"]
            assert run.register_model("head_v3", files, head_card(shape)) == str(seed)
    tracker.registry.set_alias("head_v3", "champion", "2", reason="for the test")
    return tracker


def submitted(study: Study) -> np.ndarray:
    columns = pl.read_csv(study.submission_csv).drop("ID")
    return columns.to_numpy()


def expected(study: Study, weights: Path | str) -> np.ndarray:
    keys = read_part(study.test_embeddings().folder)["key"]
    return embed(load_head(Path(weights)), study.store().read_sequences(keys))


def test_a_submission_is_made_with_the_head_that_was_named(study, shape, tracker):
    folder = study.root.parent
    torch.save(head_of(shape, 3).state_dict(), folder / "theirs.pt")
    cases = {
        "head_v3/1": ("trained1", "head_v3 version 1", "name, revision, layer and width agree"),
        "head_v3@champion": ("trained2", "head_v3 version 2 (champion)", "name, revision, layer and width agree"),
        str(folder / "trained1"): ("trained1", "trained1", "name, revision, layer and width agree"),
        str(folder / "theirs.pt"): ("theirs.pt", "theirs.pt", "unknown; only the width could be compared"),
    }
    seen = []
    for reference, (weights, label, checked) in cases.items():
        manifest = make_submission(study, tracker.registry, head=reference)
        assert not manifest.reused
        assert label in manifest.facts["head"]
        assert manifest.facts["head_encoder"] == checked
        seen.append(submitted(study))
        np.testing.assert_allclose(seen[-1], expected(study, folder / weights), atol=1e-5)
        assert study.finished_submission().data_version == manifest.data_version
        assert make_submission(study, tracker.registry, head=reference).reused
    assert not np.allclose(seen[0], seen[1])
    np.testing.assert_array_equal(seen[0], seen[2])


def test_an_alias_that_moves_makes_the_submission_stale(study, tracker):
    first = make_submission(study, tracker.registry, head="head_v3@champion")
    tracker.registry.set_alias("head_v3", "champion", "1", reason="for the test")
    try:
        second = make_submission(study, tracker.registry, head="head_v3@champion")
        assert not second.reused
        assert second.data_version != first.data_version
        assert make_submission(study, tracker.registry, head="head_v3/1").reused  # the same version by its number
    finally:
        tracker.registry.set_alias("head_v3", "champion", "2", reason="for the test")


def test_what_is_not_there_is_named_with_what_is(study, tracker):
    with pytest.raises(TrackingError, match=r"no version 9 .*versions \(1, 2\) or aliases .*champion \(2\)"):
        choose_head(study, "head_v3/9", tracker.registry)
    with pytest.raises(TrackingError, match=r"head_v3 has no alias best"):
        choose_head(study, "head_v3@best", tracker.registry)
    for reference in ("head_v4", "./head_v3/4", "nothing.pt", "head_v3@", "head_v3/x"):
        with pytest.raises(CheckpointError, match=r"is unknown\. Expected: one of head_v0, .*head_v3@champion"):
            choose_head(study, reference, tracker.registry)
    with pytest.raises(MissingUpstreamError, match="no head weights"):
        choose_head(study, str(study.root), tracker.registry)


class Unreachable:
    """A registry that must not be asked."""

    def __getattr__(self, name: str) -> None:
        pytest.fail(f"the registry was asked for {name}")


def test_a_name_and_a_file_do_not_need_the_tracking_server(study, tracker):
    choose_head(study, str(study.root.parent / "trained1" / "model.safetensors"), Unreachable())
    with pytest.raises(MissingUpstreamError, match="variant_embeddings"):
        choose_head(study, "head_v3", Unreachable())


@pytest.mark.parametrize("changed", ["name", "revision", "layer", "dimension"])
def test_a_head_of_another_encoder_is_refused_and_both_are_named(study, shape, tmp_path, changed):
    write_state(head_of(shape, 1), tmp_path / "model.safetensors")
    trained = study.encoder_spec.as_dict() | {changed: "something else"}
    write_json(tmp_path / "meta.json", {"encoder": trained})
    here = getattr(study.sequence_spec, changed)
    with pytest.raises(
        EncoderError, match=rf"another encoder \(.*{changed} something else.*that of .*{changed} {here}"
    ):
        make_submission(study, NOWHERE, head=str(tmp_path))


def test_another_pooling_of_the_same_layer_is_accepted(study, shape, tmp_path):
    write_state(head_of(shape, 1), tmp_path / "model.safetensors")
    write_json(tmp_path / "meta.json", {"encoder": study.encoder_spec.as_dict() | {"pooling": "another"}})
    choice = choose_head(study, str(tmp_path), NOWHERE)
    assert check_encoder(choice, study, study.sequence_spec) == "name, revision, layer and width agree"
    with pytest.raises(EncoderError, match=r"another encoder \(.*pooling another.*that of .*pooling "):
        check_encoder(choice, study, study.encoder_spec, pooling=True)


def test_a_head_that_knows_only_a_fingerprint_is_held_against_the_pairs(study, shape, tmp_path):
    write_state(head_of(shape, 1), tmp_path / "model.safetensors")
    write_json(tmp_path / "meta.json", {"encoder_fingerprint": study.encoder_spec.fingerprint})
    assert make_submission(study, NOWHERE, head=str(tmp_path)).facts["head_encoder"].startswith("its fingerprint")
    write_json(tmp_path / "meta.json", {"encoder_fingerprint": "f" * 64})
    with pytest.raises(EncoderError, match=f"fingerprint {'f' * 64}.*{study.encoder_spec.fingerprint}"):
        make_submission(study, NOWHERE, head=str(tmp_path))


def test_a_file_of_another_width_is_refused(study, shape, tmp_path):
    torch.save(head_of(replace(shape, in_dim=shape.in_dim + 1), 1).state_dict(), tmp_path / "wide.pt")
    with pytest.raises(CheckpointError, match=rf"do not fit head v3.*\(n, {shape.in_dim + 1}\)"):
        make_submission(study, NOWHERE, head=str(tmp_path / "wide.pt"))
