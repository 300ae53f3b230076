"""Predictions: streamed, resumable, and by one command."""

from __future__ import annotations

import gzip
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from glm_assets.cli import main
from glm_assets.errors import SettingsError
from glm_assets.studies.metagenome.inputs import read_inputs
from glm_assets.studies.metagenome.labelled_reads import make_reads, make_splits
from glm_assets.studies.metagenome.prediction import make_predictions, predict_files, predict_once
from glm_assets.studies.metagenome.prediction_parts import Parts
from glm_assets_tests.studies.metagenome.tiny import another_of, copy_of, quiet, tiny_values

LABELS = ["caldarella", "fictobacter", "mockomyces", "phantoplastis"]


@pytest.fixture(scope="session")
def predicted(trained, tmp_path_factory):
    study = copy_of(trained[0], tmp_path_factory.mktemp("predicted"))
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


@pytest.mark.parametrize("aggregation", ["mean", "max", "sum"])
def test_a_samples_label_is_that_of_its_reads_vectors_taken_together(trained, tmp_path, aggregation):
    study = trained[0]
    rows = [("s1", "ACGTTGCATTGCA"), ("s2", "GGGGGGGGCCCC"), ("s1", "TTTTACGATCAGCAT"), ("s1", "acgu")]
    path, csv = tmp_path / "reads.csv", tmp_path / "p.csv"
    path.write_text("sample_id,sequence\n" + "".join(f"{sample},{bases}\n" for sample, bases in rows))
    settings = study.values.predict.model_copy(update={"aggregation": aggregation})
    classifier = study.open_classifier()
    predict_files(classifier, [path], settings, csv, scratch=tmp_path / "scratch", progress=quiet)
    found = pl.read_csv(tmp_path / "samples.csv")
    clean = [bases.upper().replace("U", "T") for _, bases in rows]
    vectors = classifier.classify(clean).vectors
    own = [getattr(np, aggregation)(vectors[[0, 2, 3]], axis=0), vectors[1]]
    expected = classifier.of_vectors(np.stack(own).astype(np.float32))
    assert found["num_sequences"].to_list() == [3, 1]
    probabilities = found.select(f"prob_{label}" for label in LABELS).to_numpy()
    assert probabilities == pytest.approx(expected, abs=1e-5)
    assert found["predicted_class"].to_list() == [LABELS[place] for place in expected.argmax(axis=1)]


def test_a_killed_prediction_computes_only_what_is_left(trained, generated, tmp_path, monkeypatch):
    def small(*args, **kwargs):
        return read_inputs(*args, **kwargs | {"batch_reads": 7})

    monkeypatch.setattr("glm_assets.studies.metagenome.prediction.read_inputs", small)
    study = trained[0]
    settings, paths, classifier = tiny_values(generated).predict, study.new_files(), study.open_classifier()

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
    settings, paths, classifier = tiny_values(generated).predict, study.new_files(), study.open_classifier()
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
    table = pl.read_parquet(out.parent / "part.parquet")
    assert table["unknown_share"].to_list() == [0, 0]  # lower case and U are bases
    probabilities = study.open_classifier().classify(["ACGTTGCATTGCA", "GGGTTTACGTACGN"]).probabilities
    assert table["confidence"].to_list() == pytest.approx(probabilities.max(axis=1).tolist(), abs=1e-6)
    assert not list(out.parent.glob(".*"))
    assert main(["predict-reads", "--input", str(tmp_path / "absent.fa"), "--output", str(out)]) == 1
    assert "absent.fa" in capsys.readouterr().err


def test_what_another_classifier_said_is_not_gone_on_with(trained, tmp_path):
    class Killed(Exception):
        pass

    def kill(_):
        raise Killed

    study, folder = trained[0], tmp_path / "classifier"
    shutil.copytree(trained[0].classifier_folder, folder)

    def predict(progress):
        paths, csv = study.new_files(), tmp_path / "out" / "p.csv"
        return predict_once(study, paths, csv, folder=folder, choices={}, progress=progress)

    with pytest.raises(Killed):
        predict(kill)
    assert 0 < predict(quiet).computed < 60
    with pytest.raises(Killed):
        predict(kill)
    card = folder / "classifier.json"
    card.write_text(card.read_text() + "\n")  # another training
    assert predict(quiet).computed == 60


def test_taxonomy_ids_of_the_mapping_are_an_input_of_predictions(trained, tmp_path):
    study = trained[0]
    mapping = tmp_path / "mapping.tsv"
    mapping.write_text(study.mapping.read_text() + "998877\tcaldarella\t\t\t\n")
    other = copy_of(study, tmp_path, reads={"mapping": str(mapping)})
    assert make_reads(other).data_version == study.main.require(study.reads()).data_version
    assert make_splits(other).reused
    assert other.predictions().input_digest != study.predictions().input_digest


def test_files_of_the_run_are_looked_for_and_may_be_at_home(trained, tmp_path, monkeypatch):
    study = trained[0]
    with pytest.raises(SettingsError, match=r"no file .*absent\.fa, which predict\.files names"):
        make_predictions(study, [tmp_path / "absent.fa"], quiet)
    monkeypatch.setenv("HOME", str(Path(study.files[0].path).parent))
    at_home = [{"path": f"~/{Path(file.path).name}"} for file in study.files]
    assert another_of(study, reads={"files": at_home}).reads().input_digest == study.reads().input_digest


def test_no_file_to_predict_is_said(trained, generated, tmp_path):
    study = type(trained[0])(trained[0].main, tiny_values(generated, predict={"files": []}))
    with pytest.raises(SettingsError, match=r"predict\.files"):
        make_predictions(study, None, quiet)
    with pytest.raises(SettingsError, match="no file"):
        predict_once(study, [tmp_path / "no"], tmp_path / "o.csv", folder=None, choices={}, progress=quiet)
