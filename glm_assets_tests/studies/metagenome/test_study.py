"""What the classifier is a function of, what it needs before it starts, and what is told of it."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext

import pytest

from glm_assets.encoders.metagene.config import metagene1_config
from glm_assets.encoders.weights import WeightsInfo
from glm_assets.errors import SettingsError, TrainingError
from glm_assets.lineage.study import Study
from glm_assets.settings import Settings
from glm_assets.studies.configuration import read_configuration
from glm_assets.studies.metagenome.configuration import MetagenomeConfiguration
from glm_assets.studies.metagenome.labelled_reads import make_reads, make_splits
from glm_assets.studies.metagenome.memory import plan_memory
from glm_assets.studies.metagenome.study import MetagenomeStudy
from glm_assets.studies.metagenome.training import make_classifier
from glm_assets.tracking.protocol import NullRun, NullTracker
from glm_assets_tests.studies.metagenome.tiny import another_of, quiet, tiny_metagenome, tiny_values


def test_a_step_of_other_reads_is_another_classifier_and_another_division_is_not(trained):
    study = trained[0]
    batch = study.values.training.batch_size

    def classifier(**training) -> str:
        return another_of(study, training=training).classifier().input_digest

    own = study.classifier().input_digest
    assert classifier(processes=2) != own
    assert classifier(batch_size=batch // 2) != own
    assert classifier(processes=2, batch_size=batch // 2, strategy="fsdp") == own
    assert classifier(accumulation=2, batch_size=batch // 2, checkpoint_steps=7) == own


def test_generated_reads_are_refused_beside_real_sources(tmp_path, tiny_tree, generated):
    real = Study(Settings(data_root=str(tmp_path), ncbi_url=str(tiny_tree), metagenome="demo"))
    study = MetagenomeStudy(real)
    for named in (lambda: study.files, lambda: study.mapping, study.new_files):
        with pytest.raises(SettingsError, match="set GLM_METAGENOME to a YAML file"):
            named()
    assert len(MetagenomeStudy(real, tiny_values(generated)).files) == 2


def test_full_lets_related_genomes_share_some_sequence():
    package = "glm_assets.studies.metagenome"
    full = read_configuration(MetagenomeConfiguration, package, "GLM_METAGENOME", "full")
    assert 0 < full.split.max_leak <= 0.1


def test_too_few_gpus_are_told_before_anything_is_computed(generated, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    values = tiny_values(generated, training={"processes": 2})
    study = MetagenomeStudy(Study(Settings(data_root=str(tmp_path), device="cuda:0")), values)
    make_reads(study)
    make_splits(study)
    with pytest.raises(
        TrainingError, match=r"processes is 2, and this step sees 1 GPU.*set training\.processes to 1"
    ):
        make_classifier(study, NullTracker(), pytest.fail, dagster_run_id="test")


def test_fsdp_divides_weights_and_moments_and_nothing_else(generated, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(metagene1_config()))
    weights = WeightsInfo(tmp_path / "model.safetensors", "0" * 64, 0, "local", "test")
    lines: list[str] = []

    def gigabytes(strategy: str) -> dict[str, float]:
        training = {"processes": 2, "strategy": strategy}
        study = tiny_metagenome(tmp_path / "root", generated, training=training, gpu_memory_gb=24)
        return plan_memory(study, weights, 3, lines.append)["gpu_gb"]

    whole, divided = gigabytes("ddp"), gigabytes("fsdp")
    shared = {"weights", "gradients", "optimizer"}
    assert {name: divided[name] for name in shared} == pytest.approx(
        {name: whole[name] / 2 for name in shared}, abs=2e-3
    )
    rest = set(whole) - shared - {"total"}
    assert {name: divided[name] for name in rest} == {name: whole[name] for name in rest}
    assert "each of 2 GPUs that weights and moments are divided over" in lines[1]
    assert "each of" not in lines[0]


class Told(Exception):
    """Carries the parameters of a run."""


class ParameterTracker(NullTracker):
    """Stops the training when its parameters are recorded."""

    def run(self, name, *, tags, resume_file):
        run = NullRun()
        run.log_params = self._log_params
        return nullcontext(run)

    def _log_params(self, params):
        raise Told(params)


def test_the_tracking_server_is_told_no_folders(trained, generated, tmp_path):
    folder = tmp_path / "model_of_mine"
    shutil.copytree(trained[0].weights().path.parent, folder)
    model = {"checkpoint": str(folder), "tokenizer": {"kind": "hf", "path": str(folder)}}
    study = tiny_metagenome(tmp_path / "root", generated, model=model)
    make_reads(study)
    make_splits(study)
    with pytest.raises(Told) as told:
        make_classifier(study, ParameterTracker(), quiet, dagster_run_id="test")
    (params,) = told.value.args
    assert params["model.checkpoint"] == params["model.tokenizer.path"] == folder.name
    assert params["training.learning_rate"] == study.values.training.learning_rate
    assert str(tmp_path) not in json.dumps(params)
