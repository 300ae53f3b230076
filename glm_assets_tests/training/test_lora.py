"""Adapters: on which layers, what is trained, and that merging and peft's own files compute the same."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402

from glm_assets.encoders.metagene.config import metagene1_config  # noqa: E402
from glm_assets.errors import CheckpointError, TrainingError  # noqa: E402
from glm_assets.training.adapter_files import (  # noqa: E402
    read_adapter_settings,
    read_adapter_state,
    save_adapter,
)
from glm_assets.training.backbones import load_backbone, meta_backbone, meta_parameter_count  # noqa: E402
from glm_assets.training.lora import LoraSettings, add_lora, lora_parameter_count, merge_lora  # noqa: E402
from glm_assets.training.states import load_part  # noqa: E402
from glm_assets_tests.training.tiny_llama import LORA, reads, save_llama  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_llama(tmp_path_factory.mktemp("models") / "llama")


def trained(folder, settings=LORA):
    """A model with adapters that do something, in evaluation mode."""
    model = load_backbone(folder, method="lora", lora=settings)
    generator = torch.Generator().manual_seed(5)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def hidden(model):
    ids, mask, _ = reads()
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask).last_hidden_state


def test_metagene_1_has_its_parameters_and_adapters():
    """Counted without memory; the numbers are those of the original's log."""
    assert meta_parameter_count(metagene1_config()) == 6_480_465_920
    default = add_lora(meta_backbone(metagene1_config()), LoraSettings())
    assert lora_parameter_count(default) == 8_388_608
    small = LoraSettings(rank=4, alpha=8, dropout=0.05, targets=("q_proj", "v_proj"))
    assert lora_parameter_count(add_lora(meta_backbone(metagene1_config()), small)) == 2_097_152


@pytest.mark.parametrize(
    ("targets", "layers"),
    [
        (("q_proj",), {"q_proj"}),
        (("mlp.up_proj", "k_proj"), {"up_proj", "k_proj"}),
        (r".*layers\.1\.self_attn\.[qv]_proj", {"q_proj", "v_proj"}),
    ],
)
def test_adapters_are_where_they_were_asked_for_and_nothing_else_is_trained(folder, targets, layers):
    model = load_backbone(folder, method="lora", lora=LoraSettings(targets=targets))
    adapted = {name for name, module in model.named_modules() if hasattr(module, "lora_A")}
    assert {name.rpartition(".")[2] for name in adapted} == layers
    assert {".0." in name for name in adapted} == ({False} if isinstance(targets, str) else {True, False})
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == ("lora_" in name)


@pytest.mark.parametrize("targets", [("q_proj", "k_porj"), r".*k_porj"])
def test_a_target_that_matches_nothing_is_refused_with_the_names_there_are(folder, targets):
    with pytest.raises(TrainingError, match=r"k_porj.*k_proj"):
        load_backbone(folder, method="lora", lora=LoraSettings(targets=targets))


def test_a_layer_that_can_have_no_adapter_is_refused(folder):
    with pytest.raises(TrainingError, match="input_layernorm"):
        load_backbone(folder, method="lora", lora=LoraSettings(targets=("input_layernorm",)))


@pytest.mark.parametrize(
    "values",
    [
        {"rank": 0},
        {"alpha": 0},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"targets": ()},
        {"targets": ("",)},
        {"targets": "("},
    ],
)
def test_settings_out_of_range_are_refused(values):
    with pytest.raises(TrainingError, match=f"lora {next(iter(values))}"):
        LoraSettings(**values)


def test_fresh_adapters_change_nothing_and_trained_ones_add_b_a_x(folder):
    plain = transformers.LlamaModel.from_pretrained(folder).eval()
    assert torch.equal(hidden(load_backbone(folder, method="lora", lora=LORA)), hidden(plain))
    model = trained(folder)
    layer = model.get_submodule("base_model.model.layers.1.mlp.down_proj").__class__
    assert layer is nn.Linear
    query = model.get_submodule("base_model.model.layers.1.self_attn.q_proj")
    x = torch.randn(3, 64)
    a, b = query.lora_A["default"].weight, query.lora_B["default"].weight
    torch.testing.assert_close(query(x), query.base_layer(x) + (LORA.alpha / LORA.rank) * (x @ a.T @ b.T))


def test_merged_weights_compute_the_same_in_the_models_own_class(folder):
    model = trained(folder)
    before = hidden(model)
    merged = merge_lora(model)
    assert type(merged) is transformers.LlamaModel
    assert lora_parameter_count(merged) == 0
    assert (before - hidden(transformers.LlamaModel.from_pretrained(folder))).abs().max() > 0.1
    torch.testing.assert_close(hidden(merged), before, rtol=0, atol=1e-5)


def test_adapters_are_never_merged_into_four_bits(folder):
    pytest.importorskip("bitsandbytes")
    with pytest.raises(TrainingError, match="4-bit"):
        merge_lora(load_backbone(folder, method="qlora", lora=LORA))


def with_adapters(folder, saved):
    """The language model with saved adapters, as a saved classifier puts them there."""
    model = load_backbone(folder, method="lora", lora=read_adapter_settings(saved))
    load_part(model, read_adapter_state(saved))
    return model


def test_peft_reads_our_files_and_we_read_peft_s(folder, tmp_path):
    model = trained(folder)
    save_adapter(model, tmp_path / "ours", base="llama")
    theirs = peft.PeftModel.from_pretrained(transformers.LlamaModel.from_pretrained(folder), tmp_path / "ours")
    assert torch.equal(hidden(theirs.eval()), hidden(model))
    theirs.save_pretrained(tmp_path / "theirs", save_embedding_layers=False)
    back = with_adapters(folder, tmp_path / "theirs").eval()
    assert torch.equal(hidden(back), hidden(model))
    assert str(tmp_path) not in (tmp_path / "ours" / "adapter_config.json").read_text()


@pytest.mark.parametrize("damage", ["missing", "surplus", "shape"])
def test_adapters_that_do_not_fit_are_refused(folder, tmp_path, damage):
    save_adapter(trained(folder), tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    state = load_file(path)
    name = next(iter(state))
    if damage == "missing":
        del state[name]
    elif damage == "surplus":
        state["base_model.model.layers.9.self_attn.q_proj.lora_A.weight"] = torch.zeros(8, 64)
    else:
        state[name] = torch.zeros(4, 64)
    save_file(state, path)
    with pytest.raises(CheckpointError):
        with_adapters(folder, tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("use_dora", True),
        ("bias", "all"),
        ("peft_type", "LOHA"),
        ("modules_to_save", ["norm"]),
        ("use_rslora", True),
    ],
)
def test_other_kinds_of_adapters_are_refused(folder, tmp_path, key, value):
    """Their tensors would be read, and computed with in another way."""
    save_adapter(trained(folder), tmp_path)
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(CheckpointError, match="other adapters"):
        with_adapters(folder, tmp_path)


def test_an_adapter_folder_without_weights_asks_nobody_for_them(folder, tmp_path):
    save_adapter(trained(folder), tmp_path)
    (tmp_path / "adapter_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"adapter_model\.safetensors"):
        with_adapters(folder, tmp_path)


def test_models_of_vtx_get_adapters_too():
    """Their config is a dictionary that answers None to whatever it lacks, `to_dict` among it."""
    pytest.importorskip("vortex")
    from glm_assets.encoders.evo2.config import DEMO, model_config
    from glm_assets.encoders.evo2.model import build_model

    values = model_config(DEMO) | {"use_flash_attn": False, "use_fp8_input_projections": False, "num_layers": 4}
    model = build_model(values, "cpu")
    model.to_bfloat16_except_pr_lc(to_float32=True)
    hidden_size, inner = values["hidden_size"], model.blocks[0].mlp.l1.out_features
    adapted = add_lora(model, LoraSettings(rank=2, dropout=0.0, targets=("mlp.l1", "mlp.l3")))
    assert lora_parameter_count(adapted) == 4 * 2 * 2 * (hidden_size + inner)
    logits = adapted(torch.tensor([[65, 67, 71, 84] * 8]))[0]
    logits.float().square().mean().backward()
    moved = [p.grad for name, p in adapted.named_parameters() if "lora_B" in name]
    assert len(moved) == 8
    assert all(gradient is not None for gradient in moved)
