"""The trained model, how it is judged, and what it draws, each against a walk over the tokens."""

from __future__ import annotations

import json
import math

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from glm_assets.encoders.tokenizers.kmer import decode_kmers
from glm_assets.errors import SettingsError
from glm_assets.genome.markov import MarkovCounts
from glm_assets.language.token_store import TokenStore
from glm_assets.storage.tables import read_part
from glm_assets.studies.plant import training
from glm_assets.studies.plant.evaluation import make_evaluation
from glm_assets.studies.plant.generations import make_generations
from glm_assets.studies.plant.opening import open_lm
from glm_assets.studies.plant.study import PlantStudy
from glm_assets.studies.plant.training import make_lm
from glm_assets.tracking.protocol import NullTracker
from glm_assets_tests.studies.plant.tiny import make_tokens, tiny_plant
from glm_assets_tests.studies.plant.toys import LENGTHS, SPECIES, K, quiet


def train(study: PlantStudy, progress=quiet):
    return make_lm(study, NullTracker(), progress, dagster_run_id="test")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study whose model is trained and judged and has drawn, and the manifests; tests must not change it."""
    torch.set_num_threads(1)
    study = tiny_plant(tmp_path_factory.mktemp("plant"))
    make_tokens(study)
    return study, train(study), make_evaluation(study, quiet), make_generations(study, quiet)


def test_the_model_lies_there_with_its_shape_and_its_history(made):
    study, manifest, _, _ = made
    folder, facts = study.files("lm"), manifest.facts
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json",
        "model.safetensors",
        "config.json",
        "history.json",
        "training.png",
    }
    config = json.loads((folder / "config.json").read_text())
    assert (config["species"], config["k"], config["memory"]) == (list(SPECIES), K, "content")
    history = json.loads((folder / "history.json").read_text())
    assert [record["epoch"] for record in history] == [1, 2, 3]
    network = open_lm(study)
    assert network.config.species == SPECIES
    assert facts["parameters"] == sum(each.numel() for each in network.parameters())
    assert facts["steps"] == 60
    assert facts["tokens_seen"] == 60 * 4 * 8
    assert facts["tokens_per_second"] > 0
    best = min(record["validation"]["loss"] for record in history)
    assert facts["loss"] == best
    assert facts["bits_per_base"] == pytest.approx(best / (K * math.log(2)))
    assert not network.training


def test_a_model_that_is_there_is_not_trained_again(made):
    study, manifest, _, _ = made
    lines: list[str] = []
    assert train(study, lines.append).data_version == manifest.data_version
    assert lines == []


def test_a_training_that_ended_before_it_was_published_is_not_repeated(tmp_path, monkeypatch):
    """Files that the first attempt left where they belong are no hindrance."""
    study = tiny_plant(tmp_path, training={"steps": 4, "validate_steps": 2})
    make_tokens(study)
    lines: list[str] = []
    with monkeypatch.context() as broken:
        broken.setattr(training, "_finish", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(study, lines.append)
    assert any("epoch 2/2" in line for line in lines)
    lines.clear()
    manifest = train(study, lines.append)
    assert not any("loss" in line for line in lines), lines
    assert {"model.safetensors", "config.json", "history.json", "training.png"} == set(manifest.files)
    assert manifest.facts["tokens_per_second"] is None


def test_a_sharded_model_is_refused(tmp_path):
    study = tiny_plant(tmp_path, training={"strategy": "fsdp"})
    make_tokens(study)
    with pytest.raises(SettingsError, match="keeps its memory whole"):
        train(study)


def walked(study: PlantStudy, number: int, *, memory: bool) -> tuple[list[float], list[bool]]:
    """Nats of every test token but the first of each segment, one at a time, and whether it was the likeliest.

    Windows of 8 begin 4 apart, and the last one ends with the segment: a token is predicted in the first that has it.
    """
    network = open_lm(study)
    store = TokenStore(study.files("tokens", SPECIES[number]))
    nats, hits = [], []
    for row in store.segments.filter(split="test").iter_rows(named=True):
        ids = store.tokens(np.arange(row["first_token"], row["first_token"] + row["tokens"]))
        starts = [*range(0, len(ids) - 8, 4)]
        if starts[-1] + 9 < len(ids):
            starts.append(len(ids) - 9)
        for place in range(1, len(ids)):
            start = next(start for start in starts if place <= start + 8)
            with torch.no_grad():
                logits = network(
                    torch.from_numpy(ids[None, start:place]),
                    torch.arange(start, place)[None],
                    torch.tensor([number]),
                    memory=memory,
                )[0, -1].double()
            nats.append(-float(logits.log_softmax(0)[ids[place]]))
            hits.append(int(logits.argmax()) == ids[place])
    return nats, hits


def bits(table: pl.DataFrame, species: str, predictor: str, figure: str = "bits_per_base") -> float:
    return table.filter(species=species, predictor=predictor, figure=figure)["value"].item()


@pytest.mark.parametrize(("predictor", "memory"), [("model", True), ("model_without_memory", False)])
def test_each_test_token_is_judged_once(made, predictor, memory):
    study, _, _, _ = made
    table = read_part(study.files("evaluation"))
    pooled = []
    for number, species in enumerate(SPECIES):
        nats, hits = walked(study, number, memory=memory)
        pooled += nats
        assert len(nats) == sum(LENGTHS["test"]) - len(LENGTHS["test"])
        assert bits(table, species, predictor) == pytest.approx(np.mean(nats) / (K * math.log(2)), rel=1e-5)
        assert bits(table, species, predictor, "perplexity") == pytest.approx(math.exp(np.mean(nats)), rel=1e-5)
        assert bits(table, species, predictor, "accuracy") == pytest.approx(np.mean(hits))
    assert bits(table, "all", predictor) == pytest.approx(np.mean(pooled) / (K * math.log(2)), rel=1e-5)
    assert set(table.filter(species="all")["tokens"]) == {len(pooled)}


def test_baselines_are_judged_on_the_same_bases(made):
    study, _, _, _ = made
    table = read_part(study.files("evaluation"))
    for species in SPECIES:
        store, counts = TokenStore(study.files("tokens", species)), MarkovCounts(3)
        spelt = {"train": [], "test": []}
        for row in store.segments.filter(pl.col("split") != "val").iter_rows(named=True):
            ids = store.tokens(np.arange(row["first_token"], row["first_token"] + row["tokens"]))
            spelt[row["split"]].append(decode_kmers(ids, K))
        for bases in spelt["train"]:
            counts.add(bases)
        for order in range(4):
            # The first token of a segment is context alone, for everyone.
            logs = [counts.model(order).log_probabilities(bases)[K:] for bases in spelt["test"]]
            expected = -np.concatenate(logs).mean() / math.log(2)
            assert bits(table, species, f"markov_{order}") == pytest.approx(expected)
        assert bits(table, species, "uniform") == pytest.approx(2)
        assert bits(table, species, "uniform", "perplexity") == pytest.approx(4**K)
        assert bits(table, species, "model") < bits(table, species, "markov_1") < 2


def test_what_is_said_of_the_memory_and_of_the_baselines_is_in_the_table(made):
    study, _, manifest, _ = made
    table, facts = read_part(study.files("evaluation")), manifest.facts
    assert facts["over_markov_2"] == pytest.approx(bits(table, "all", "markov_2") - bits(table, "all", "model"))
    assert facts["over_markov_2_low"] < facts["over_markov_2"] < facts["over_markov_2_high"]
    saved = bits(table, "all", "model_without_memory") - bits(table, "all", "model")
    assert facts["memory_saves"] == pytest.approx(saved)
    assert facts["memory_saves_low"] <= saved <= facts["memory_saves_high"]
    low, high = (facts[f"memory_saves_{side}"] for side in ("low", "high"))
    assert facts["memory"].split()[0].rstrip(":") == ("helps" if low > 0 else "harms" if high < 0 else "makes")
    assert facts["test_blocks"] == 12
    assert facts["tokens_before_a_test_token"] == {"at_least": 4, "at_most": 8}
    inside = table.filter(predictor="model")
    assert (inside["low"] < inside["value"]).all()
    assert (inside["value"] < inside["high"]).all()
    assert {"bits_per_base.png", "context.png"} < {path.name for path in study.files("evaluation").iterdir()}


def test_blocks_too_few_for_an_interval_have_none(tmp_path):
    """Of two species with a block each there are two."""
    study = tiny_plant(
        tmp_path,
        split={"block_bases": 1_000_000},
        training={"steps": 4, "validate_steps": 4},
        model={"memory": "none"},
    )
    make_tokens(study)
    train(study)
    manifest = make_evaluation(study, quiet)
    assert manifest.facts["over_markov_2_low"] is None
    assert "memory" not in manifest.facts
    table = read_part(study.files("evaluation"))
    assert table.filter(predictor="model")["low"].null_count() == table.filter(predictor="model").height
    assert "model_without_memory" not in table["predictor"].to_list()


def test_sequences_are_drawn_as_each_species(made):
    study, _, _, manifest = made
    table = read_part(study.files("generations"))
    assert table.group_by("species").len().sort("species").rows() == [(name, 3) for name in SPECIES]
    assert set("".join(table["sequence"])) <= set("ACGT")
    assert set(table["sequence"].str.len_chars()) == {12 * K} == set(table["length"])
    for row in table.iter_rows(named=True):
        assert row["gc"] == pytest.approx(sum(base in "GC" for base in row["sequence"]) / (12 * K))
    for species in SPECIES:
        store = TokenStore(study.files("tokens", species))
        firsts = [
            decode_kmers(store.tokens(np.arange(first, first + 5)), K).tobytes().decode()
            for first in store.segments.filter(split="test")["first_token"]
        ]
        assert table.filter(species=species)["prompt_sequence"].to_list() == firsts[::2]
    assert manifest.facts["rows"] == 6
    # The toy species' words differ in what they spell.
    shares = manifest.facts["gc_of_test_sequence"]
    assert abs(shares["cress"] - shares["maize"]) > 0.05
    assert {"gc.png", "generations.fa", "logo_cress.png"} < {
        path.name for path in study.files("generations").iterdir()
    }


def test_equal_seeds_draw_equal_sequences(made, tmp_path):
    study, _, _, _ = made
    table = read_part(study.files("generations"))
    values = study.values.model_copy(
        update={"generation": study.values.generation.model_copy(update={"samples": 2})}
    )
    fewer = PlantStudy(study.main, values)
    fewer.folder = lambda name, species=None: (  # pyright: ignore[reportAttributeAccessIssue]
        tmp_path / "drawn" if name == "generations" else PlantStudy.folder(fewer, name, species)
    )
    make_generations(fewer, quiet)
    again = read_part(tmp_path / "drawn")
    # The first prompt is the same one; what is drawn beside it does not matter.
    for species in SPECIES:
        assert again.filter(species=species)["sequence"][0] == table.filter(species=species)["sequence"][0]
    drawn = table["sequence"].to_list()
    assert len(set(drawn)) == len(drawn)


def test_the_kept_tensors_are_those_of_the_network(made):
    study, _, _, _ = made
    state = open_lm(study).state_dict()
    stored = load_file(study.files("lm") / "model.safetensors")
    assert stored.keys() == state.keys()
    assert all(torch.equal(stored[name], value) for name, value in state.items())
    assert int(stored["memory.updates"]) in (20, 40, 60)
