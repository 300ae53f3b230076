"""The classifier: what is kept, what is used again, what a kill costs, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from functools import partial

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from glm_assets.encoders.metagene.config import metagene1_config
from glm_assets.encoders.weights import WeightsInfo
from glm_assets.errors import EncoderError
from glm_assets.heads.kmer_baseline import load_kmer_baseline, some_of_each_class
from glm_assets.studies.metagenome import evaluation
from glm_assets.studies.metagenome.memory import plan_memory
from glm_assets.studies.metagenome.rows import read_split_rows, sequences_of
from glm_assets_tests.studies.metagenome.tiny import (
    another_of,
    judge,
    quiet,
    tiny_metagenome,
    tiny_values,
    train,
)

READS = ["ACGTACGTACGGTTACGATCGGCTA", "GGGGGGGGCCCCCCCC", "TTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTAA"]


def weights_of(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.safetensors")}


def test_only_what_was_trained_is_kept(trained):
    study, manifest, _ = trained
    folder = study.classifier_folder
    adapters = load_file(folder / "adapter_model.safetensors")
    assert adapters
    assert all("lora_" in name for name in adapters)
    head = load_file(folder / "head.safetensors")
    assert head["out.weight"].shape == (4, 64)
    stored = sum(path.stat().st_size for path in folder.rglob("*") if path.suffix in (".safetensors", ".pt"))
    assert stored == manifest.facts["saved_bytes"] < study.weights().size / 10
    assert not list(folder.rglob("*.pt"))
    numbers = sum(value.size for value in [*adapters.values(), *head.values()])
    assert manifest.facts["trainable_parameters"] == numbers
    assert numbers < manifest.facts["model_parameters"] / 10


def test_labels_are_written_as_the_libraries_read_them(trained):
    study, manifest, _ = trained
    by_index = json.loads((study.classifier_folder / "id2label.json").read_text())
    assert [by_index[str(index)] for index in range(4)] == sorted(by_index.values()) == manifest.facts["labels"]


def test_an_up_to_date_classifier_is_not_trained_again(trained):
    study, first, _ = trained
    assert not first.reused
    again = train(study, progress=pytest.fail)
    assert again.reused
    assert again.data_version == first.data_version


def test_a_read_has_the_same_probabilities_whatever_it_is_classified_with(trained):
    classifier = trained[0].open_classifier()
    together = classifier.classify(READS)
    for place, read in enumerate(READS):
        alone = classifier.classify([read])
        assert np.allclose(alone.probabilities[0], together.probabilities[place], atol=1e-6)
    assert np.allclose(together.probabilities.sum(axis=1), 1, atol=1e-6)
    assert np.allclose(classifier.of_vectors(together.vectors), together.probabilities, atol=1e-6)


def test_longer_reads_are_cut_and_said_so(trained):
    classifier = trained[0].open_classifier()
    verdict = classifier.classify(["ACGTTGCA" * 200, "ACGT"])
    assert verdict.truncated.tolist() == [True, False]


def test_evaluation_judges_the_test_reads_that_the_split_names(trained):
    study, _, manifest = trained
    rows = read_split_rows(study.reads().files(), study.splits().files())
    test = rows.rows["test"]
    probabilities = study.open_classifier().classify(sequences_of(study.reads().files(), test)).probabilities
    right = float((probabilities.argmax(axis=1) == rows.label[test]).mean())
    assert manifest.facts["metrics"]["accuracy"] == pytest.approx(right)
    table = pl.read_parquet(study.evaluation().files() / "part.parquet")
    assert set(table["predictor"]) == {"model", "kmer_baseline"}
    overall = table.filter(slice="all", figure="macro_f1")
    own, baseline = (overall.filter(predictor=name)["value"][0] for name in ("model", "kmer_baseline"))
    assert manifest.facts["macro_f1_over_baseline"] == pytest.approx(own - baseline)
    lengths = table.filter(slice="length", figure="accuracy", predictor="model")
    assert lengths["rows"].sum() == len(test)
    assert (lengths["value"] * lengths["rows"]).sum() / len(test) == pytest.approx(right)
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    rows_of_bins = np.array_split(np.argsort(confidence, kind="stable"), 10)
    gaps = [
        abs((predicted == rows.label[test])[of].mean() - confidence[of].mean()) * len(of) for of in rows_of_bins
    ]
    assert manifest.facts["metrics"]["calibration_error"] == pytest.approx(sum(gaps) / len(test), abs=0.02)
    figures = {path.stem for path in study.evaluation().files().glob("*.png")}
    assert figures == {"confusion", "classes", "calibration", "lengths", "baseline"}


def test_the_baseline_is_kept_and_fitted_on_no_more_reads_than_it_may_hold(trained, monkeypatch, tmp_path):
    study, _, manifest = trained
    reads = study.reads().files()
    rows = read_split_rows(reads, study.splits().files())
    assert manifest.facts["baseline_train_reads"] == manifest.facts["train_reads"] == len(rows.rows["train"])
    kept = load_kmer_baseline(study.evaluation().files() / "kmer_baseline.safetensors")
    table = pl.read_parquet(study.evaluation().files() / "part.parquet")
    said = table.filter(slice="all", figure="accuracy", predictor="kmer_baseline")["value"][0]
    test = rows.rows["test"]
    predicted = kept.probabilities(sequences_of(reads, test)).argmax(axis=1)
    assert said == pytest.approx((predicted == rows.label[test]).mean())

    asked = []
    monkeypatch.setattr(evaluation, "some_of_each_class", partial(some_of_each_class, most=40))
    monkeypatch.setattr(evaluation, "sequences_of", lambda _, of: asked.append(len(of)) or sequences_of(reads, of))
    fitted, fitted_on = evaluation._fit_baseline(study, reads, rows)
    assert max(asked) == fitted_on <= 44
    assert fitted.classes == 4


def test_no_genome_trains_and_tests(trained):
    rows = read_split_rows(trained[0].reads().files(), trained[0].splits().files())
    genomes = {name: set(rows.genome[of].tolist()) for name, of in rows.rows.items()}
    assert not genomes["train"] & genomes["test"]
    assert not genomes["train"] & genomes["val"]
    assert not genomes["val"] & genomes["test"]


def test_a_killed_training_ends_as_if_it_had_not_been(trained, generated, tmp_path):
    class Killed(Exception):
        pass

    study = tiny_metagenome(tmp_path, generated, training={"checkpoint_steps": 1})
    with pytest.raises(Killed):
        train(study, progress=_after_first_epoch(Killed))
    assert not (study.classifier_folder / "classifier.json").exists()
    lines: list[str] = []
    train(study, progress=lines.append)
    assert any("continuing" in line for line in lines)
    assert weights_of(study.classifier_folder) == weights_of(trained[0].classifier_folder)


def _after_first_epoch(error):
    """Progress that fails when the loop has told of something that is done."""
    told = []

    def tell(line):
        told.append(line)
        if "epoch" in line:
            raise error

    return tell


@pytest.mark.parametrize("method", ["full", "qlora"])
def test_other_methods_train(method, generated, tmp_path):
    lora = {} if method == "qlora" else {"lora": None}
    study = tiny_metagenome(
        tmp_path, generated, model={"method": method, **lora}, training={"epochs": 1, "batch_size": 64}
    )
    manifest = train(study)
    names = {path.name for path in study.classifier_folder.glob("*.safetensors")}
    trained_file = "backbone.safetensors" if method == "full" else "adapter_model.safetensors"
    assert names == {trained_file, "head.safetensors"}
    probabilities = study.open_classifier().classify(READS).probabilities
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert 0 <= manifest.facts["metrics"]["macro_f1"] <= 1


class TestFrozen:
    """A head on stored vectors, of any encoder of the registry."""

    @pytest.fixture(scope="class")
    def study(self, tmp_path_factory, generated):
        model = {"encoder": "demo", "layer": "blocks.25.mlp.l3", "method": "frozen", "lora": None}
        return tiny_metagenome(tmp_path_factory.mktemp("frozen"), generated, model=model)

    def test_evo2_s_vectors_are_computed_once(self, study):
        first = train(study)
        reads = first.facts["reads"]
        assert first.facts["windows_computed"] > 0.9 * sum(reads.values())
        other = study.values.model_copy(update={"seed": 7})
        again = train(type(study)(study.main, other))
        assert again.facts["windows_computed"] == 0
        assert again.facts["cache_hits"] == sum(reads.values())

    def test_it_classifies_by_the_encoder(self, study):
        judged = judge(type(study)(study.main, study.values.model_copy(update={"seed": 7})))
        assert 0 <= judged.facts["metrics"]["accuracy"] <= 1
        keys = pl.read_parquet(study.classifier_folder / "vectors.parquet")["key"]
        assert not study.main.store().missing(keys).any()


def test_a_foreign_tokenizer_is_refused_with_the_reasons(generated, tmp_path):
    model = tmp_path / "foreign.model"
    model.write_text("minbpe v1\n.+\n0\n65 67\n71 84\n")
    other = tiny_metagenome(
        tmp_path / "root", generated, model={"tokenizer": {"kind": "minbpe", "path": str(model)}}
    )
    with pytest.raises(EncoderError, match=r"does not fit the encoder.*mean other tokens"):
        train(other)


def test_another_tokenizer_is_another_classifier_and_another_folder_is_not(trained, tmp_path):
    study = trained[0]
    folders = tmp_path / "a", tmp_path / "b"
    for folder in folders:
        shutil.copytree(study.weights().path.parent, folder)

    def made_of(folder):
        tokenizer = {"tokenizer": {"kind": "hf", "path": str(folder)}}
        return another_of(study, model=tokenizer).classifier().input_digest

    assert made_of(folders[0]) == made_of(folders[1])
    changed = folders[1] / "tokenizer.json"
    changed.write_text(changed.read_text() + "\n")
    assert made_of(folders[0]) != made_of(folders[1])


def test_only_the_row_groups_of_the_reads_that_are_asked_for_are_read(tmp_path, monkeypatch):
    sequences = [f"ACGT{number}" for number in range(50)]
    pl.DataFrame({"sequence": sequences}).write_parquet(tmp_path / "part.parquet", row_group_size=10)
    read, groups = pq.ParquetFile.read_row_group, []
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_group", lambda self, at, **more: groups.append(at) or read(self, at, **more)
    )
    assert sequences_of(tmp_path, np.array([9, 10, 49])) == [sequences[at] for at in (9, 10, 49)]
    assert groups == [0, 1, 4]
    assert sequences_of(tmp_path, np.array([], np.int64)) == []


def test_labels_of_the_mapping_without_reads_are_no_classes(tmp_path):
    about = {"label": ["b", "d", "d", "b"], "label_index": [1, 3, 3, 1], "genome": list("wxyz"), "length": [9] * 4}
    (tmp_path / "splits").mkdir()
    pl.DataFrame(about).write_parquet(tmp_path / "part.parquet")
    split = {"split": ["train", "train", "val", "test"]}
    pl.DataFrame(split).write_parquet(tmp_path / "splits" / "part.parquet")
    rows = read_split_rows(tmp_path, tmp_path / "splits")
    assert rows.names == ("b", "d")
    assert rows.label.tolist() == [0, 1, 1, 0]


def test_shares_that_leave_nothing_to_train_on_are_refused(generated):
    with pytest.raises(ValueError, match="leave nothing to train on"):
        tiny_values(generated, split={"val": 60, "test": 60})


def test_memory_is_judged_before_training(generated, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(metagene1_config()))
    weights = WeightsInfo(tmp_path / "model.safetensors", "0" * 64, 0, "local", "test")
    model = {"max_length": 512, "gradient_checkpointing": False}
    values = {"model": model, "training": {"batch_size": 1}, "gpu_memory_gb": 16}
    lines: list[str] = []
    facts = plan_memory(tiny_metagenome(tmp_path / "root", generated, **values), weights, 3, lines.append)
    assert facts["memory_advice"][0].startswith("does not fit")
    assert any("gradient_checkpointing" in line for line in facts["memory_advice"])
    assert "does not fit" in lines[0]
    values["model"] = {"max_length": 128, "gradient_checkpointing": True}
    facts = plan_memory(tiny_metagenome(tmp_path / "root", generated, **values), weights, 3, quiet)
    assert facts["memory_advice"][0].startswith("fits")


@pytest.mark.system
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_train_together(generated, tmp_path, strategy):
    alone = tiny_metagenome(tmp_path / "one", generated, training={"batch_size": 32, "epochs": 1})
    together = {"batch_size": 16, "epochs": 1, "processes": 2, "strategy": strategy}
    pair = tiny_metagenome(tmp_path / "two", generated, training=together)
    first, second = train(alone), train(pair)
    assert second.facts["epochs"] == 1
    assert weights_of(pair.classifier_folder).keys() == weights_of(alone.classifier_folder).keys()
    assert second.facts["metrics"]["loss"] == pytest.approx(first.facts["metrics"]["loss"], rel=0.1)
    adapters = load_file(pair.classifier_folder / "adapter_model.safetensors")
    assert {name: value.shape for name, value in adapters.items()} == {
        name: value.shape
        for name, value in load_file(alone.classifier_folder / "adapter_model.safetensors").items()
    }
    assert any(np.abs(value).max() > 0 for name, value in adapters.items() if "lora_B" in name)
    assert pair.open_classifier().classify(READS).probabilities.shape == (3, 4)
