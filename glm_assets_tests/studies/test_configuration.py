"""The studies' values: the built-in ones, the originals' numbers among them, and a user's own."""

from __future__ import annotations

import re

import pytest
import yaml

from glm_assets.errors import SettingsError
from glm_assets.studies.configuration import BUILT_IN, chosen_name, read_configuration
from glm_assets.studies.impact.configuration import ImpactConfiguration
from glm_assets.studies.metagenome.configuration import MetagenomeConfiguration
from glm_assets.studies.plant.configuration import PlantConfiguration
from glm_assets.studies.sugarcane.configuration import SugarcaneConfiguration

STUDIES = {
    "impact": ImpactConfiguration,
    "metagenome": MetagenomeConfiguration,
    "plant": PlantConfiguration,
    "sugarcane": SugarcaneConfiguration,
}


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


def test_faithful_sugarcane_is_the_original_but_for_its_context_and_its_split():
    values = read("sugarcane", "faithful")
    model, training, units = values.model, values.training, values.units
    assert set(values.varieties) == {"XTT22", "R570", "ZZ1"}
    assert (units.coordinates, units.upstream, units.downstream) == ("faithful", 2_000, 1_000)
    assert (units.max_length, units.merge_gap) == (20_000, 5_000)
    assert (model.encoder, model.without_fp8) == ("evo2_1b_base", "refuse")
    assert (model.lora.rank, model.lora.alpha, model.lora.dropout) == (16, 32, 0.1)
    layers = [f"blocks.{number}.inner_mha_cls.Wqkv" for number in range(25)]
    assert [name for name in layers if re.fullmatch(model.lora.targets, name)] == [layers[17]]
    assert (training.steps, training.warmup_steps, training.clip_norm) == (100, 5, 1.0)
    assert (training.learning_rate, training.min_learning_rate, training.betas) == (1e-4, 3e-5, (0.9, 0.95))
    assert (training.validate_steps, training.validation_windows, training.context) == (50, 20, 8_192)
    assert (values.split.by, values.shards.reverse_complement) == ("homology_group", "both")


def test_full_sugarcane_scores_long_units_in_tiles_and_needs_no_fp8():
    values = read("sugarcane", "full")
    assert (values.model.encoder, values.training.context) == ("evo2_7b", 8_192)
    assert values.scoring.tile < values.units.max_length
    assert values.scoring.overlap > 0


def test_faithful_plant_is_the_original_s_network_and_training():
    values = read("plant", "faithful")
    assert {name: species.weight for name, species in values.species.items()} == {
        "glycine_max": 1.0,
        "arabidopsis": 0.8,
        "oryza_sativa": 0.7,
        "zea_mays": 0.6,
        "vitis_vinifera": 0.5,
    }
    tokens, training = values.tokens, values.training
    assert (tokens.cut, tokens.k, tokens.phases, tokens.reverse_complement) == ("faithful", 6, (0,), False)
    assert (training.batch_size, training.accumulation, training.overlap) == (16, 4, 0.5)
    assert (training.learning_rate, training.weight_decay, training.clip_norm) == (1e-4, 0.01, 1.0)
    assert (training.sampling, training.decay, training.reset_below) == ("decay", 0.8, 0.1)
    assert (values.model.local, values.model.memory, values.model.memory_is_trained) == ("block", "sum", True)
    pytest.importorskip("torch")
    from glm_assets.encoders.plant_lm.config import PlantLmConfig
    from glm_assets.encoders.plant_lm.network import parameter_count

    config = PlantLmConfig(species=tuple(values.species), k=tokens.k, **values.model.model_dump())
    assert parameter_count(config) == 142_311_936


@pytest.mark.parametrize(
    ("study", "path", "value", "named"),
    [
        ("metagenome", ("training", "torch_compile"), True, r"training\.torch_compile"),
        ("metagenome", ("training", "optimizer"), "adamw_8bit", r"training\.optimizer"),
        ("metagenome", ("model", "pooling"), "attention", r"model\.pooling"),
        ("metagenome", ("training", "label_smoothing"), 1.0, r"training\.label_smoothing"),
        ("sugarcane", ("training", "context"), 1, r"training\.context.*sees nothing before"),
        ("sugarcane", ("scoring", "overlap"), 512, r"scoring.*no new token"),
        ("sugarcane", ("split", "group"), "no group", r"split\.group.*first group"),
        ("plant", ("model", "context"), 1, r"model\.context"),
        ("plant", ("model", "heads"), 3, r"model.*multiple of heads"),
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
