"""The classifier: what is kept, what is used again, what a kill costs, and what is refused."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

from glm_assets.encoders.metagene.config import metagene1_config
from glm_assets.encoders.weights import WeightsInfo
from glm_assets.errors import EncoderError
from glm_assets.studies.metagenome.memory import plan_memory
from glm_assets.studies.metagenome.rows import read_split_rows, sequences_of
from glm_assets_tests.studies.metagenome.tiny import judge, quiet, tiny_metagenome, train

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
def test_two_processes_train_together(generated, tmp_path):
    alone = tiny_metagenome(tmp_path / "one", generated, training={"batch_size": 32, "epochs": 1})
    pair = tiny_metagenome(tmp_path / "two", generated, training={"batch_size": 16, "epochs": 1, "processes": 2})
    first, second = train(alone), train(pair)
    assert second.facts["epochs"] == 1
    assert weights_of(pair.classifier_folder).keys() == weights_of(alone.classifier_folder).keys()
    assert second.facts["metrics"]["loss"] == pytest.approx(first.facts["metrics"]["loss"], rel=0.1)
