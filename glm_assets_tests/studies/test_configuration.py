"""The studies' values: the built-in ones, the originals' numbers among them, and a user's own."""

from __future__ import annotations

import pytest
import yaml

from glm_assets.errors import SettingsError
from glm_assets.studies.configuration import BUILT_IN, chosen_name, read_configuration
from glm_assets.studies.impact.configuration import ImpactConfiguration
from glm_assets.studies.metagenome.configuration import MetagenomeConfiguration

STUDIES = {"impact": ImpactConfiguration, "metagenome": MetagenomeConfiguration}


def read(study: str, name: str):
    return read_configuration(STUDIES[study], f"glm_assets.studies.{study}", f"GLM_{study.upper()}", name)


def changed(study: str, folder, *path: str, value) -> str:
    """A user's file: the demo's values but for one."""
    values = section = read(study, "demo").model_dump(mode="json")
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value
    file = folder / "own.yaml"
    file.write_text(yaml.safe_dump(values))
    return str(file)


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_values_are_read_by_name(study, name):
    assert read(study, name).name == name


def test_faithful_reads_are_classified_as_the_originals_profile_of_24_gb():
    values = read("metagenome", "faithful")
    model, training = values.model, values.training
    assert (model.encoder, model.method, model.pooling, model.max_length) == ("metagene1", "lora", "mean", 128)
    assert model.lora.model_dump() == {"rank": 4, "alpha": 8, "dropout": 0.05, "targets": ("q_proj", "v_proj")}
    assert (model.dropout, model.gradient_checkpointing) == (0.1, True)
    assert (training.batch_size, training.accumulation, training.epochs, training.patience) == (1, 8, 10, 3)
    assert (training.learning_rate, training.weight_decay, training.betas) == (2e-4, 0.01, (0.9, 0.999))
    assert (training.warmup_steps, values.seed, values.predict.batch_size) == (50, 42, 256)


def test_full_reads_have_the_originals_default_adapters():
    values = read("metagenome", "full")
    assert (values.model.lora.rank, values.model.lora.alpha, values.model.lora.dropout) == (8, 16, 0.1)
    assert values.model.lora.targets == ("q_proj", "k_proj", "v_proj", "o_proj")
    assert values.training.batch_size * values.training.accumulation == 128
    assert values.training.warmup_steps == 100


def test_faithful_impact_is_the_original_but_for_its_split():
    values = read("impact", "faithful")
    assert (values.individual, values.chromosomes, values.consequences) == ("HG00553", ("21",), "faithful")
    assert (values.carried.match, values.reads.policy, values.reads.length) == ("position", "faithful", 150)
    assert (values.reads.per_variant, values.carried.require_dbsnp) == (1, False)
    assert (values.encoder.name, values.encoder.layer) == ("evo1", "logits")
    assert (values.encoder.revision, values.encoder.pooling) == ("1.1_fix", "positions:150")
    assert values.balancing.boosts == {0.1: 100, 0.2: 200, 0.5: 200, 1.0: 750}
    assert (values.balancing.mode, values.head.epochs, values.head.batch_size) == ("original", 1000, 64)
    assert (values.head.learning_rate, values.head.dtype, values.head.patience) == (1e-3, "bfloat16", None)


@pytest.mark.parametrize(
    ("study", "path", "value", "named"),
    [
        ("metagenome", ("training", "torch_compile"), True, r"training\.torch_compile"),
        ("metagenome", ("training", "optimizer"), "adamw_8bit", r"training\.optimizer"),
        ("metagenome", ("model", "pooling"), "attention", r"model\.pooling"),
        ("metagenome", ("training", "label_smoothing"), 1.0, r"training\.label_smoothing"),
        ("metagenome", ("reads", "genome"), "no group", r"reads\.genome.*first group"),
        ("metagenome", ("model", "lora"), None, "methods lora and qlora"),
        ("impact", ("train_test_split",), 0.5, "train_test_split"),
        ("impact", ("encoder", "pooling"), "centre:5", r"encoder\.pooling.*positions:N, mean"),
        ("impact", ("split", "test"), 80, "nothing to train on"),
        ("impact", ("chromosomes",), ["23"], "unknown chromosomes"),
    ],
)
def test_a_key_that_nothing_reads_or_a_wrong_value_is_refused_by_its_name(tmp_path, study, path, value, named):
    """The originals had options that did nothing."""
    with pytest.raises(SettingsError, match=rf"(?s)GLM_{study.upper()}=.*{named}"):
        read(study, changed(study, tmp_path, *path, value=value))


def test_an_own_file_is_read_and_an_absent_or_broken_one_is_named(tmp_path):
    assert read("impact", changed("impact", tmp_path, "individual", value="ME")).individual == "ME"
    (tmp_path / "broken.yaml").write_text("a: [")
    for name in ("absent.yaml", "broken.yaml"):
        with pytest.raises(SettingsError, match=rf"{name}.*cannot be read"):
            read("impact", str(tmp_path / name))


@pytest.mark.parametrize(
    ("explicit", "profile", "name"),
    [("mine.yaml", "full", "mine.yaml"), (None, "faithful", "faithful"), (None, "other", "demo")],
)
def test_which_values_are_taken(explicit, profile, name):
    assert chosen_name(explicit, profile) == name
