"""The network: its size, what a batch shares and does not share, its switch and its files."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from glm_assets.encoders.huggingface.folder import CONFIG, WEIGHTS
from glm_assets.encoders.plant_lm.config import PlantLmConfig
from glm_assets.encoders.plant_lm.files import load_plant_lm, save_plant_lm
from glm_assets.encoders.plant_lm.network import PlantLm, parameter_count
from glm_assets.errors import EncoderError
from glm_assets_tests.encoders.plant_lm.conftest import small_batch, small_network

torch = pytest.importorskip("torch")

ORIGINAL = PlantLmConfig(
    species=("glycine_max", "arabidopsis", "oryza_sativa", "zea_mays", "vitis_vinifera"),
    width=512,
    heads=8,
    layers=6,
    context=64,
    window=32,
    local="block",
    positions=200_000,
    tied=False,
    memory="sum",
    memory_is_trained=True,
)
FINAL = replace(
    ORIGINAL,
    species=("glycine_max", "glycine_soja"),
    width=640,
    heads=10,
    context=128,
    window=128,
    tied=True,
    memory="ema",
    memory_is_trained=False,
    memory_per_species=False,
)
PARTS = {
    "tokens": (2_097_152, 2_621_440),
    "positions": (102_400_000, 128_000_000),
    "species": (2_560, 1_280),
    "layers.0.local": (1_050_624, 1_640_960),
    "layers.0.recall": (1_050_624, 1_640_960),
    "layers.0.feed_forward": (2_099_712, 3_280_000),
    "layers.0": (4_204_032, 6_565_760),
    "layers": (25_224_192, 39_394_560),
    "final_norm": (1_024, 1_280),
    "output": (2_101_248, 0),
    "output_bias": (0, 4_096),
    "memory": (10_485_760, 0),
    "": (142_311_936, 170_022_656),
}


@pytest.mark.parametrize("version", [0, 1], ids=["original", "final"])
def test_it_has_the_originals_parameters_part_by_part(version):
    config = (ORIGINAL, FINAL)[version]
    with torch.device("meta"):
        network = PlantLm(config)
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    for part, expected in PARTS.items():
        inside = [size for name, size in sizes.items() if f".{name}.".startswith(f".{part}." if part else ".")]
        assert sum(inside) == expected[version], part
    assert parameter_count(config) == PARTS[""][version]


def test_it_begins_as_the_original_does():
    network = small_network(width=64, tied=False)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
    assert network.tokens.weight.std().item() == pytest.approx(0.02, rel=0.1)
    first = network.layers[0].feed_forward[0].weight
    assert first.abs().max().item() == pytest.approx((6 / (64 + 256)) ** 0.5, rel=0.01)


@pytest.mark.parametrize("memory", ["none", "sum", "ema", "content"])
@pytest.mark.parametrize("per_species", [True, False])
def test_a_mixed_batch_is_each_of_its_items_alone(memory, per_species):
    network = small_network(memory=memory, memory_per_species=per_species)
    tokens, positions, species = small_batch(sequences=4)
    together = network(tokens, positions, species)
    alone = [network(tokens[[i]], positions[[i]], species[[i]]) for i in range(4)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_a_species_reads_its_own_matrix_and_no_other():
    network = small_network(memory="content")
    tokens, positions, species = small_batch(sequences=4)
    before = network(tokens, positions, species)
    with torch.no_grad():
        network.memory.matrix[1] = 0.0
    after = network(tokens, positions, species)
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert not torch.allclose(after[[1, 3]], before[[1, 3]], atol=1e-3)


def test_switched_off_the_memory_does_not_matter():
    network = small_network(memory="content")
    batch = small_batch()
    off = network(*batch, memory=False)
    assert not torch.allclose(off, network(*batch), atol=1e-3)
    with torch.no_grad():
        network.memory.matrix.zero_()
    assert torch.equal(network(*batch, memory=False), off)


def test_positions_beyond_the_table_begin_again():
    network = small_network()
    tokens, positions, species = small_batch()
    assert torch.equal(network(tokens, positions + 80, species), network(tokens, positions, species))


def test_gradients_reach_every_parameter_and_a_trained_matrix_of_species_that_are_there():
    network = small_network(memory="sum", memory_is_trained=True, tied=False).train()
    tokens, positions, species = small_batch(sequences=2)
    network(tokens, positions, torch.zeros_like(species)).square().mean().backward()
    grads = {name: parameter.grad for name, parameter in network.named_parameters()}
    assert [name for name, grad in grads.items() if grad is None] == []
    assert grads["memory.matrix"][0].any()
    assert not grads["memory.matrix"][1].any()


def test_hidden_states_are_those_between_the_layers():
    network = small_network(memory="none", layers=3)
    batch = small_batch()
    seen = []
    for layer in network.layers:
        layer.register_forward_hook(lambda _layer, _inputs, out: seen.append(out))
    network(*batch)
    assert [torch.equal(network.hidden(*batch, layer=layer), seen[layer]) for layer in range(3)] == [True] * 3
    assert torch.equal(network.hidden(*batch), network.final_norm(seen[2]))


@pytest.mark.parametrize(
    "changes", [{}, {"tied": False, "memory": "sum", "memory_is_trained": True}, {"memory": "none"}]
)
def test_files_give_equal_logits(tmp_path, changes):
    network = small_network(**changes)
    if network.memory is not None:
        network.update_memory(network.memory_statistics(*small_batch(seed=5)))
    save_plant_lm(network, tmp_path)
    loaded = load_plant_lm(tmp_path)
    assert loaded.config == network.config
    assert not loaded.training
    assert torch.equal(loaded(*small_batch()), network(*small_batch()))
    state = loaded.state_dict()
    assert {name: value.tolist() for name, value in network.state_dict().items()} == {
        name: state[name].tolist() for name in state
    }


def test_a_network_goes_on_training_after_loading(tmp_path):
    save_plant_lm(small_network(memory="sum", memory_is_trained=True), tmp_path)
    loaded = load_plant_lm(tmp_path)
    assert all(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize("changes", [{"layers": 3}, {"width": 32}, {"tied": False}, {"memory": "none"}])
def test_another_configuration_is_refused(tmp_path, changes):
    save_plant_lm(small_network(), tmp_path)
    values = json.loads((tmp_path / CONFIG).read_text())
    (tmp_path / CONFIG).write_text(json.dumps(values | changes))
    with pytest.raises(EncoderError, match=r"cannot be loaded as a plant language model.*config\.json"):
        load_plant_lm(tmp_path)


def test_damaged_and_absent_files_are_refused(tmp_path):
    with pytest.raises(EncoderError, match=r"config\.json cannot be read"):
        load_plant_lm(tmp_path)
    save_plant_lm(small_network(), tmp_path)
    (tmp_path / WEIGHTS).write_bytes((tmp_path / WEIGHTS).read_bytes()[:100])
    with pytest.raises(EncoderError, match="cannot be loaded"):
        load_plant_lm(tmp_path)


def test_a_network_without_memory_has_none_to_fill():
    with pytest.raises(EncoderError, match="has no memory"):
        small_network(memory="none").memory_statistics(*small_batch())
