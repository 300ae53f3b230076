"""The asset `submission`: with this data root's head while nothing is tracked, and with a registered one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import dagster as dg
import mlflow
import numpy as np
import polars as pl
import pytest

from glm_assets.defs.build import build_defs
from glm_assets.heads.apply import embed, load_head
from glm_assets.storage.tables import read_part
from glm_assets.tracking import MlflowTracker, Tracker
from glm_assets_tests.defs.conftest import Lineage
from glm_assets_tests.lineage.studies import tiny_study

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@dataclass(frozen=True)
class Own:
    """A copy of the lineage, which a test may change."""

    lineage: Lineage

    def submit(self, tracker: Tracker, **config) -> dg.ExecuteInProcessResult:
        defs = build_defs(self.lineage.study, tracker, executor=dg.in_process_executor)
        return defs.get_implicit_global_asset_job_def().execute_in_process(
            asset_selection=[dg.AssetKey("submission")],
            instance=self.lineage.instance,
            run_config={"ops": {"submission": {"config": config}}},
            raise_on_error=False,
        )


@pytest.fixture
def own(lineage, tmp_path) -> Own:
    source = lineage.study.root.parent
    shutil.copytree(source / "data", tmp_path / "data")
    study = tiny_study(tmp_path, lineage.study.profile.ncbi_url)
    return Own(Lineage(study, lineage.defs, lineage.instance))


def vectors_of(study) -> np.ndarray:
    return pl.read_csv(study.submission_csv).drop("ID").to_numpy()


def test_the_default_needs_no_tracking_server(own):
    shutil.rmtree(own.lineage.study.submission_csv.parent)
    result = own.submit(MlflowTracker("http://127.0.0.1:9"))
    assert result.success
    (event,) = result.asset_materializations_for_node("submission")
    assert event.metadata["head"].value == "head_v3 of this data root"
    assert event.metadata["head_encoder"].value == "name, revision, layer and width agree"


def test_a_registered_head_is_taken_by_alias_and_is_what_mlflow_loads(own, lineage):
    study = own.lineage.study
    database = lineage.study.root.parent / "mlflow" / "mlflow.db"
    tracker = MlflowTracker(f"sqlite:///{database}")
    tracker.registry.set_alias("head_v1", "candidate", "1", reason="for the test")
    result = own.submit(tracker, head="head_v1@candidate")
    assert result.success
    (event,) = result.asset_materializations_for_node("submission")
    assert event.metadata["head"].value == "head_v1 version 1 (candidate)"
    given = vectors_of(study)
    test_vectors = study.store().read_sequences(read_part(study.test_embeddings().folder)["key"])
    own_head = embed(load_head(study.head_folder("head_v1")), test_vectors)
    np.testing.assert_allclose(given, own_head, atol=1e-5)

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(tracker.uri)
    loaded = mlflow.pyfunc.load_model("models:/head_v1@candidate")
    mlflow.set_tracking_uri(before)
    assert loaded.predict(test_vectors.astype(np.float32)).tobytes() == own_head.tobytes()


def test_a_reference_that_names_nothing_fails_with_what_there_is(own):
    result = own.submit(MlflowTracker(f"sqlite:///{own.lineage.study.root / 'empty.db'}"), head="head_v3/7")
    assert not result.success
    message = str(result.failure_data_for_node("submission").error.cause)
    assert "head_v3 has no version 7" in message
    assert "versions (none)" in message
