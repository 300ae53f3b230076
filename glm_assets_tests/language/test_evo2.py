"""Evo2 as a language model: vtx's own numbers, gradients, states that go on as a whole forward would, adapters."""

from __future__ import annotations

import logging

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("vortex")
pytest.importorskip("peft")

from glm_assets.encoders.evo2 import config as evo2_config  # noqa: E402
from glm_assets.errors import EncoderError  # noqa: E402
from glm_assets.language.evo2 import Evo2LanguageModel, load_evo2, uses_fp8  # noqa: E402
from glm_assets.language.evo2_network import Evo2Network, copy_sharing_weights  # noqa: E402
from glm_assets.training.lora import LoraSettings, lora_parameter_count  # noqa: E402
from glm_assets_tests.studies.sugarcane.tiny_training import shallow_evo2  # noqa: E402

TARGETS = ("Wqkv", "out_proj", "projections", "l1", "l2", "l3", "out_filter_dense")
LORA = LoraSettings(rank=2, alpha=4, dropout=0.0, targets=TARGETS)


@pytest.fixture(scope="module")
def model(demo_weights) -> Evo2LanguageModel:
    return Evo2LanguageModel.load("demo", demo_weights, device="cpu")


@pytest.fixture
def shallow(monkeypatch):
    """Four blocks, one of each kind."""
    shallow_evo2(monkeypatch)


def ids(rows: int, length: int, seed: int = 0):
    letters = np.frombuffer(b"ACGT", np.uint8).astype(np.int64)
    return torch.from_numpy(letters[np.random.default_rng(seed).integers(0, 4, (rows, length))])


def test_tokens_are_bytes(model):
    assert model.encode("ACgtN").tolist() == [65, 67, 103, 116, 78]
    assert model.decode(model.encode("ACgtN")) == "ACgtN"
    assert model.decode([0, 65, 300]) == "?A?"
    assert model.decode(model.sequence_ids) == "ACGT"
    assert (model.start_id, model.vocabulary_size, model.bases_per_token, model.context) == (0, 512, 1, 8192)


def test_logits_are_vtxs_own(model):
    tokens = ids(2, 70)
    with torch.no_grad():
        own, _ = model.network.striped(tokens)
        found = model.logits(tokens)
    assert found.shape == (2, 70, 512)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, own, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("length", [1, 3, 9, 140])
def test_states_go_on_as_a_whole_forward_would(model, length, monkeypatch):
    """Also after prompts that are shorter than filters of 3, 7 and 128 taps, and past the first room of attention."""
    monkeypatch.setattr("glm_assets.language.evo2_decoder._ROOM", 4)
    tokens = ids(3, length + 12, seed=length)
    with torch.no_grad():
        whole = model.logits(tokens)
    decoder = model.decoder(tokens[:, :length])
    steps = [decoder.logits]
    for place in range(length, length + 11):
        decoder.advance(tokens[:, place])
        steps.append(decoder.logits)
    torch.testing.assert_close(torch.stack(steps, 1), whole[:, length - 1 : -1], atol=2e-4, rtol=2e-4)


@pytest.mark.usefixtures("shallow")
def test_asking_in_inference_mode_does_not_keep_a_model_from_training(demo_weights):
    network = load_evo2("demo", demo_weights, device="cpu")
    with torch.inference_mode():
        network(ids(1, 40))
    network.requires_grad_(True)
    network(ids(1, 40)).logsumexp(-1).sum().backward()
    missing = [name for name, each in network.named_parameters() if each.grad is None]
    assert missing == []


@pytest.mark.usefixtures("shallow")
def test_no_tensor_is_spelled_out_while_a_model_is_loaded(demo_weights, monkeypatch):
    """vtx would, for a log line that nobody reads; it took most of the time."""

    def spelled(tensor):
        raise AssertionError

    monkeypatch.setattr(torch.Tensor, "__repr__", spelled)
    load_evo2("demo", demo_weights, device="cpu")


def gradients(network: Evo2Network):
    network.zero_grad()
    network(ids(2, 64)).log_softmax(-1)[..., 65].sum().backward()
    return {
        name: each.grad.clone()
        for name, each in network.named_parameters()
        if each.requires_grad and each.grad is not None
    }


@pytest.mark.usefixtures("shallow")
def test_checkpointing_computes_the_same_gradients_and_every_block_again(demo_weights):
    network = load_evo2("demo", demo_weights, device="cpu")
    network.adapt(LORA)
    for name, parameter in network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    calls = []
    network.striped.blocks[2].register_forward_pre_hook(lambda *_: calls.append(1))
    plain = gradients(network.train())
    assert len(calls) == 1
    network.checkpointing = True
    kept = gradients(network)
    assert len(calls) == 3
    assert plain.keys() == kept.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(gradient, kept[name], msg=name)


def test_adapters_sit_on_every_layer_that_matches_also_input_projections(demo_weights):
    """28 mixers with projections and out_filter_dense, 4 with attention, 32 MLPs of three layers."""
    network = load_evo2("demo", demo_weights, device="cpu")
    before = network(ids(1, 50))
    config = dict(network.striped.config)
    network.adapt(LORA)
    attention = len(config["attn_layer_idxs"])
    mixers, wide, inner = config["num_layers"] - attention, config["hidden_size"], config["inner_mlp_size"]
    each = attention * (4 * wide + 2 * wide) + mixers * (4 * wide + 2 * wide)
    assert lora_parameter_count(network) == LORA.rank * (each + config["num_layers"] * 3 * (wide + inner))
    torch.testing.assert_close(network(ids(1, 50)), before)


def test_the_1b_models_qkv_has_the_originals_adapter():
    """122,880 parameters for r = 16 on one attention layer, counted without memory."""
    values = evo2_config.model_config("evo2_1b_base")
    wide = values["hidden_size"]
    with torch.device("meta"):
        layer = torch.nn.ModuleDict({"Wqkv": torch.nn.Linear(wide, 3 * wide)})
    from glm_assets.training.lora import add_lora

    adapted = add_lora(layer, LoraSettings(rank=16, alpha=32, targets=("Wqkv",)))
    assert wide == 1920
    assert lora_parameter_count(adapted) == 122_880


@pytest.mark.usefixtures("shallow")
def test_a_copy_with_adapters_leaves_the_model_without_and_takes_no_second_memory(demo_weights):
    network = load_evo2("demo", demo_weights, device="cpu")
    before = network(ids(1, 50))
    twin = Evo2Network(copy_sharing_weights(network.model))
    twin.adapt(LoraSettings(rank=2, alpha=4, dropout=0.0, targets=TARGETS, also_train=("norm", "embedding_layer")))
    with torch.no_grad():
        for parameter in twin.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)
    assert torch.equal(network(ids(1, 50)), before)
    assert not torch.allclose(twin(ids(1, 50)), before, atol=1e-2)
    own = {each.data_ptr() for each in network.parameters()}
    extra = [each for each in twin.parameters() if each.data_ptr() not in own]
    assert all(each.requires_grad for each in extra)


@pytest.mark.parametrize("name", ["evo2_1b_base", "evo2_20b", "evo2_40b", "evo2_40b_base"])
def test_models_of_fp8_are_refused_without_it(name, caplog):
    with pytest.raises(EncoderError, match=r"low accuracy in bfloat16.*CPU.*evo2_7b"):
        uses_fp8(name, "cpu", "refuse")
    with caplog.at_level(logging.WARNING):
        assert not uses_fp8(name, "cpu", "warn")
    assert "low accuracy" in caplog.text


def test_fp8_is_used_where_it_is(monkeypatch):
    monkeypatch.setattr(evo2_config, "find_spec", lambda _: object())
    assert uses_fp8("evo2_1b_base", "cuda:0", "refuse")
    assert not uses_fp8("evo2_7b", "cuda:0", "refuse")
    monkeypatch.setattr(evo2_config, "find_spec", lambda _: None)
    with pytest.raises(EncoderError, match="Transformer Engine is not installed"):
        uses_fp8("evo2_1b_base", "cuda:0", "refuse")


def test_what_is_no_evo2_model_is_refused():
    with pytest.raises(EncoderError, match=r"'metagene1' is no language model.*evo2_7b"):
        uses_fp8("metagene1", "cpu", "refuse")
