"""Predictions: streamed, resumable, and by one command."""

from __future__ import annotations

import gzip
import re

import numpy as np
import polars as pl
import pytest

from glm_assets.cli import main
from glm_assets.errors import SettingsError
from glm_assets.studies.metagenome.inputs import read_inputs
from glm_assets.studies.metagenome.prediction import make_predictions, predict_files, predict_once
from glm_assets.studies.metagenome.prediction_parts import Parts
from glm_assets_tests.studies.metagenome.tiny import quiet, tiny_values

LABELS = ["caldarella", "fictobacter", "mockomyces", "phantoplastis"]


@pytest.fixture(scope="session")
def predicted(trained):
    study = trained[0]
    return study, make_predictions(study, None, quiet)


def test_the_csv_has_the_original_command_s_columns(predicted):
    study, manifest = predicted
    table = pl.read_csv(study.predictions().files() / "predictions.csv")
    probabilities = [f"prob_{label}" for label in LABELS]
    assert table.columns == ["sequence_id", "predicted_class", "confidence", "sequence_length", *probabilities]
    assert table.height == manifest.facts["rows"] == 60
    values = table.select(probabilities).to_numpy()
    assert np.abs(values.sum(axis=1) - 1).max() < 1e-6
    assert table["predicted_class"].to_list() == [LABELS[place] for place in values.argmax(axis=1)]
    samples = pl.read_csv(study.predictions().files() / "samples.csv")
    assert samples.columns == ["sample_id", "num_sequences", "predicted_class", "confidence", *probabilities]
    assert samples["num_sequences"].sum() == 60


def test_abundance_is_what_the_reads_say(predicted):
    study, _ = predicted
    folder = study.predictions().files()
    reads, abundance = pl.read_parquet(folder / "part.parquet"), pl.read_parquet(folder / "abundance.parquet")
    counted = reads.group_by("sample", "predicted_class").len()
    told = {(sample, label): n for sample, label, n in counted.iter_rows()}
    for row in abundance.iter_rows(named=True):
        assert row["reads"] == told.get((row["sample_id"], row["label"]), 0)
    for _, sample in abundance.group_by("sample_id"):
        shares = sample["share"].to_numpy()
        assert shares.sum() == pytest.approx(1)
        some = shares[shares > 0]
        assert sample["shannon"][0] == pytest.approx(-(some * np.log(some)).sum())
        assert sample["simpson"][0] == pytest.approx(1 - (shares**2).sum())


def test_a_killed_prediction_computes_only_what_is_left(trained, generated, tmp_path, monkeypatch):
    def small(*args, **kwargs):
        return read_inputs(*args, **kwargs | {"batch_reads": 7})

    monkeypatch.setattr("glm_assets.studies.metagenome.prediction.read_inputs", small)
    study = trained[0]
    settings, paths, classifier = tiny_values(generated).predict, study.new_files, study.open_classifier()

    def predict(name):
        csv = tmp_path / name / "p.csv"
        csv.parent.mkdir(exist_ok=True)
        return predict_files(classifier, paths, settings, csv, scratch=tmp_path / f"{name}.parts", progress=quiet)[
            0
        ]

    whole = predict("whole")
    assert whole.computed == whole.reads == 60

    class Killed(Exception):
        pass

    of = Parts.of

    def kill(self, number, batch):
        if number == 4:
            raise Killed
        return of(self, number, batch)

    with monkeypatch.context() as patched:
        patched.setattr(Parts, "of", kill)
        with pytest.raises(Killed):
            predict("killed")
    assert not list((tmp_path / "killed").glob("*.csv"))
    assert predict("killed").computed == 60 - 4 * 7
    for name in ("p.csv", "samples.csv"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_damaged_part_is_computed_again(trained, generated, tmp_path):
    study = trained[0]
    settings, paths, classifier = tiny_values(generated).predict, study.new_files, study.open_classifier()
    for size in (None, 100):
        done, _ = predict_files(
            classifier, paths, settings, tmp_path / "p.csv", scratch=tmp_path / "s", progress=quiet
        )
        if size:
            break
        part = next((tmp_path / "s").glob("*.npz"))
        part.write_bytes(part.read_bytes()[:100])
    assert 0 < done.computed < done.reads


def test_one_command_predicts(trained, tmp_path, monkeypatch, capsys):
    study = trained[0]
    values = tmp_path / "values.yaml"
    values.write_text(study.values.model_dump_json())  # JSON is YAML
    monkeypatch.setenv("GLM_METAGENOME", str(values))
    monkeypatch.setenv("GLM_DATA_ROOT", str(study.main.root))
    monkeypatch.setenv("GLM_DEVICE", "cpu")
    reads = tmp_path / "reads.fa.gz"
    reads.write_bytes(gzip.compress(b">a\nACGTTGCATTGCA\n>b x\nggguuuacgtacgn\n>empty\n\n"))
    out = tmp_path / "out" / "labels.csv"
    options = ["--input", str(reads), "--output", str(out), "--ckpt", str(study.classifier_folder)]
    assert main(["predict-reads", *options, "--batch_size", "2"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^2 reads in .*labels.csv", said)
    assert "left out: 1 empty" in said
    assert pl.read_csv(out)["sequence_id"].to_list() == ["a", "b"]
    assert not list(out.parent.glob(".*"))
    assert main(["predict-reads", "--input", str(tmp_path / "absent.fa"), "--output", str(out)]) == 1
    assert "absent.fa" in capsys.readouterr().err


def test_no_file_to_predict_is_said(trained, generated, tmp_path):
    study = type(trained[0])(trained[0].main, tiny_values(generated, predict={"files": []}))
    with pytest.raises(SettingsError, match=r"predict\.files"):
        make_predictions(study, None, quiet)
    with pytest.raises(SettingsError, match="no file"):
        predict_once(study, [tmp_path / "no"], tmp_path / "o.csv", folder=None, choices={}, progress=quiet)
