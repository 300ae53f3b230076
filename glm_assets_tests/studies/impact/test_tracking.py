"""The training as MLflow has it: curves, figures, and a model that MLflow loads by itself."""

from __future__ import annotations

import json

import numpy as np
import pytest

from glm_assets.storage.tables import read_part
from glm_assets_tests.studies.impact.persons import copy_of, silent


@pytest.mark.system
def test_training_is_tracked_and_the_registered_model_predicts_what_the_head_does(made, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    from glm_assets.studies.impact.activations import Activations
    from glm_assets.studies.impact.head import make_head
    from glm_assets.studies.impact.predictors import Predictors
    from glm_assets.tracking import MlflowTracker

    study = copy_of(made.study, tmp_path, head={"epochs": 2, "hidden": 5})
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    manifest = make_head(study, MlflowTracker(uri), silent, dagster_run_id="the run")
    client = mlflow.MlflowClient(uri)
    run = client.get_run(manifest.facts["mlflow_run_id"])
    assert run.data.tags["dagster/run_id"] == "the run"
    assert run.data.params["hidden"] == "5"
    for name in ("train/loss", "val/rmse", "val/mae", "val/pearson"):
        assert [point.step for point in client.get_metric_history(run.info.run_id, name)] == [1, 2]
    assert run.data.metrics["mean/val_rmse"] == pytest.approx(manifest.facts["validation_mean"]["rmse"])
    figures = {file.path for file in client.list_artifacts(run.info.run_id, "figures")}
    assert figures == {f"figures/{name}.png" for name in ("distribution_conv", "distribution_linear", "training")}
    mlflow.set_tracking_uri(uri)
    loaded = mlflow.pyfunc.load_model(f"models:/impact_head_DEMO1/{manifest.facts['registered_version']}")
    keys = read_part(study.training_set().files())["key"][:5]
    vectors = study.store().read_sequences(keys)
    expected = Predictors.load(study.head_folder, "cpu").scores(
        Activations.open(study.store(), keys, "positions:150"), np.arange(5)
    )
    assert loaded.predict(vectors) == pytest.approx(expected["conv"], abs=1e-5)
    meta = json.loads((study.head_folder / "meta.json").read_text())
    assert meta["encoder_fingerprint"] == study.encoder_spec.fingerprint
    assert meta["validation"]["conv"]["rmse"] == pytest.approx(manifest.facts["validation_conv"]["rmse"])
