"""Training the plant language model: mixed species, the memory after each step, and going on after a kill."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from glm_assets.encoders.plant_lm.files import load_plant_lm
from glm_assets.encoders.plant_lm.network import PlantLm
from glm_assets.errors import TrainingError
from glm_assets.language.token_store import TokenStore
from glm_assets.studies.plant.sampling import SpeciesPlan
from glm_assets.studies.plant.starting import begin_with_bases, token_frequencies
from glm_assets.studies.plant.task import PlantTask
from glm_assets.studies.plant.train import MODEL, split_windows
from glm_assets.training.launch import launch
from glm_assets_tests.studies.plant.toys import LENGTHS, SPECIES, WORDS, K, quiet, toy_job, train_alone
from glm_assets_tests.training.tasks import Interrupted, stop_at_step


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def task_of(job, **model) -> PlantTask:
    stores = [TokenStore(Path(folder)) for folder in job.tokens.values()]
    settings = job.training_settings
    train, val = (split_windows(stores, split, 8, settings.overlap) for split in ("train", "val"))
    torch.manual_seed(0)
    plan = SpeciesPlan(job.weights, train.counts.tolist(), settings, per_epoch=20, seed=5)
    return PlantTask(
        PlantLm(replace(job.network, **model)),
        train,
        val,
        plan,
        batch_size=4,
        validation_windows=12,
        micro_batches=5,
        seed=5,
    )


def assert_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def felt(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state without what no loss feels: a key's bias moves all scores of a query alike, and by rounding alone."""
    kept = {name: value for name, value in state.items() if not name.endswith("key.bias")}
    return {name: value.chunk(2)[1] if name.endswith("key_value.bias") else value for name, value in kept.items()}


def test_batches_mix_species_and_each_window_is_read_as_its_own(tmp_path):
    """The toy species' words tell whose a window is."""
    task = task_of(toy_job(tmp_path / "a"))
    seen = set()
    for batch in task.batches(1):
        species = task._species(batch).tolist()
        seen.add(tuple(sorted(set(species))))
        for row, number in zip(batch.inputs.tolist(), species, strict=True):
            own, other = (WORDS[name] for name in (SPECIES[number], SPECIES[1 - number]))
            assert sum(token in own for token in row) > sum(token in other for token in row)
        task.model.eval()
        for row, number in enumerate(species):
            one = slice(row, row + 1)
            alone = task.model(batch.inputs[one], batch.positions[one], torch.tensor([number]))
            torch.testing.assert_close(task.logits(batch)[one], alone, rtol=1e-4, atol=1e-5)
    assert (0, 1) in seen


def test_windows_of_several_genomes_come_back_in_the_order_asked_for(tmp_path):
    task = task_of(toy_job(tmp_path / "a"))
    every = task.train.take(np.arange(len(task.train)))
    asked = np.random.default_rng(1).permutation(len(task.train))
    found = task.train.take(asked)
    for name in ("inputs", "targets", "weights", "positions", "block"):
        np.testing.assert_array_equal(getattr(found, name), getattr(every, name)[asked])
    segments = len([length for lengths in LENGTHS.values() for length in lengths])
    assert np.array_equal(every.block >= segments, task.train.species_of_rows(np.arange(len(task.train))) == 1)


def test_the_memory_is_filled_after_a_step_with_what_was_read(tmp_path):
    task = task_of(toy_job(tmp_path / "a"), memory="sum", normalise_steps=1000)
    batches = list(task.batches(1))[:2]
    expected = torch.zeros(2, 4**K, 16)
    for batch in batches:
        species = task._species(batch)
        for row, places, number in zip(batch.inputs, batch.positions, species.tolist(), strict=True):
            for token, place in zip(row.tolist(), places.tolist(), strict=True):
                expected[number, token] += task.model.positions.weight[place % 32].detach()
    task.after_step(batches)
    assert task.model.memory is not None
    torch.testing.assert_close(task.model.memory.matrix, expected)
    task.after_step([])
    torch.testing.assert_close(task.model.memory.matrix, expected)
    assert int(task.model.memory.updates) == 2


def test_a_network_without_memory_trains_too(tmp_path):
    history = train_alone(toy_job(tmp_path / "a", model={"memory": "none"}))["history"]
    assert history[-1]["validation"]["loss"] < math.log(4**K)


def test_training_learns_and_leaves_the_best_model(tmp_path):
    lines: list[str] = []
    job = toy_job(tmp_path / "a", steps=60, validate_steps=20, model={"dropout": 0.0}, learning_rate=0.02)
    trained = train_alone(job, lines.append)
    best = max(trained["history"], key=lambda record: record["validation"]["score"])
    figures = best["validation"]
    # Of four tokens in five the next one is known: an even guess has 4 bits of 2 bases, 2 a base.
    assert figures["bits_per_base"] < 1.3
    assert figures["bits_per_base"] == pytest.approx(figures["loss"] / (K * math.log(2)))
    assert figures["perplexity"] == pytest.approx(math.exp(figures["loss"]))
    assert {f"bits_per_base_{name}" for name in SPECIES} < figures.keys()
    network = load_plant_lm(job.folder / MODEL)
    assert trained["returned"]["parameters"] == sum(each.numel() for each in network.parameters())
    assert trained["returned"]["tokens_per_second"] > 0
    task = task_of(job)
    task.model.load_state_dict(network.state_dict())
    assert task.validate(1)["loss"] == pytest.approx(figures["loss"])
    assert lines[0].startswith("training ")


def test_validation_is_plain_cross_entropy_whatever_is_smoothed(tmp_path):
    plain = task_of(toy_job(tmp_path / "a"))
    smooth = task_of(toy_job(tmp_path / "b"))
    smooth._smoothing = 0.3
    assert smooth.validate(1) == plain.validate(1)
    (batch, *_) = list(plain.batches(1))
    plain.model.eval()
    smooth.model.eval()
    logs = plain.logits(batch).log_softmax(dim=-1)
    entropy = -logs.gather(2, batch.targets[..., None]).mean()
    torch.testing.assert_close(plain.loss(batch, 1)["loss"], entropy)
    torch.testing.assert_close(smooth.loss(batch, 1)["loss"], 0.7 * entropy - 0.3 * logs.mean())


@pytest.mark.parametrize("memory", ["content", "ema", "sum"])
def test_four_micro_batches_are_one_batch_four_times_as_large(tmp_path, memory):
    quiet_model = {"dropout": 0.0, "memory": memory}
    parts = train_alone(toy_job(tmp_path / "a", batch_size=2, accumulation=4, model=quiet_model))
    whole = train_alone(toy_job(tmp_path / "b", batch_size=8, accumulation=1, model=quiet_model))
    assert parts["history"][-1]["validation"] == pytest.approx(whole["history"][-1]["validation"], rel=1e-5)
    for name, value in felt(whole["state"]).items():
        torch.testing.assert_close(felt(parts["state"])[name], value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("steps", [3, 5, 8])
def test_a_training_that_is_killed_goes_on_bit_by_bit(tmp_path, monkeypatch, steps):
    """Within an epoch and at its end, with dropout, decaying weights and a memory."""
    whole = train_alone(toy_job(tmp_path / "whole"))
    job = toy_job(tmp_path / "part")

    def stop() -> None:
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", torch.optim.AdamW.step)  # put back afterwards
        stop_at_step(steps, stop)
        with pytest.raises(Interrupted):
            train_alone(job)
    lines: list[str] = []
    resumed = train_alone(job, lines.append)
    assert any(line.startswith("continuing after") for line in lines)
    assert resumed["history"] == whole["history"]
    assert_equal(resumed["state"], whole["state"])
    assert int(resumed["state"]["memory.updates"]) > 0


def test_narrow_numbers_train_to_about_the_same(tmp_path):
    options = {"steps": 20, "validate_steps": 20, "model": {"dropout": 0.0}}
    wide, narrow = (
        train_alone(toy_job(tmp_path / precision, precision=precision, **options))
        for precision in ("float32", "bfloat16")
    )
    losses = [each["history"][-1]["validation"]["loss"] for each in (wide, narrow)]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert losses[0] != losses[1]
    assert all(value.dtype != torch.bfloat16 for value in narrow["state"].values())


def test_weights_begin_with_the_frequencies_of_the_training_split(tmp_path):
    job = toy_job(tmp_path / "a")
    stores = [TokenStore(Path(folder)) for folder in job.tokens.values()]
    counts = np.zeros((2, 4**K))
    for number, store in enumerate(stores):
        for row in store.segments.iter_rows(named=True):
            if row["split"] == "train":
                for at in range(row["first_token"], row["first_token"] + row["tokens"]):
                    counts[number, store.tokens(np.array([at]))[0]] += 1
    shares = (counts + 1) / (counts + 1).sum(axis=1, keepdims=True)
    frequencies = token_frequencies(stores, [1.0, 0.5])
    np.testing.assert_allclose(frequencies, (shares[0] * 2 + shares[1]) / 3)
    for tied in (True, False):
        network = PlantLm(replace(job.network, tied=tied, width=64))
        begin_with_bases(network, frequencies)
        bias = network.output.bias if network.output is not None else network.output_bias
        assert bias is not None
        np.testing.assert_allclose(bias.detach().exp().numpy(), frequencies, rtol=1e-5)
        table = network.tokens.weight.detach()
        # AA, AC: one base in common; AA, CC: none; numbers are 4 * first + second.
        alike, unlike = ((table[0] @ table[other]) / (table[0].norm() * table[other].norm()) for other in (1, 5))
        assert alike > unlike + 0.1


@pytest.mark.system
def test_two_processes_train_as_one_does_with_batches_twice_as_large(tmp_path):
    """Equal parameters and buckets in both after 5 steps, and those of one process."""
    options = {"steps": 5, "validate_steps": 5, "model": {"dropout": 0.0}}
    job = toy_job(tmp_path / "two", processes=2, **options)
    target = "glm_assets_tests.studies.plant.toys:train_rank"
    together = launch(target, {"job": job.as_dict()}, 2, progress=quiet)
    assert "memory.matrix" in together["names"]
    first, second = together["values"]
    assert first == second
    alone = train_alone(toy_job(tmp_path / "one", batch_size=8, **options))
    found = load_file(job.folder / MODEL / "model.safetensors")
    for name, value in felt(alone["state"]).items():
        torch.testing.assert_close(felt(found)[name], value, rtol=1e-5, atol=1e-5)
    assert found["memory.matrix"].abs().sum() > 0


@pytest.mark.system
def test_processes_of_which_one_is_killed_go_on_as_if_it_had_not_been(tmp_path):
    target = "glm_assets_tests.studies.plant.toys:train_rank"
    whole = launch(target, {"job": toy_job(tmp_path / "whole", processes=2).as_dict()}, 2, progress=quiet)
    job = toy_job(tmp_path / "part", processes=2)
    with pytest.raises(TrainingError, match="rank 1 was ended by SIGKILL"):
        launch(target, {"job": job.as_dict(), "kill": {"rank": 1, "steps": 8}}, 2, progress=quiet)
    lines: list[str] = []
    resumed = launch(target, {"job": job.as_dict()}, 2, progress=lines.append)
    assert any("continuing after step 2 of the epoch after epoch 1" in line for line in lines)
    assert resumed == whole
