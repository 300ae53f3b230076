"""Modules that are trained whole beside adapters, and adapters that are put into the weights and taken out again."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from glm_assets.errors import CheckpointError, TrainingError  # noqa: E402
from glm_assets.training.adapter_files import (  # noqa: E402
    WHOLE_WEIGHTS,
    read_adapter_settings,
    read_adapter_state,
    save_adapter,
)
from glm_assets.training.lora import LoraSettings, add_lora, lora_parameter_count  # noqa: E402
from glm_assets.training.merging import merge_adapters, merged  # noqa: E402
from glm_assets.training.parameter_groups import decayed_groups  # noqa: E402
from glm_assets.training.states import load_part, trainable_state  # noqa: E402

LORA = LoraSettings(rank=3, alpha=6, dropout=0.0, targets=("first", "second"), also_train=("norm", "embedding"))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 10), nn.Linear(10, 6, bias=False)

    def forward(self, x):
        return x + self.second(self.first(x).tanh())


class Model(nn.Module):
    """A language model whose unembedding is its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(12, 6)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.norm = nn.LayerNorm(6)
        self.unembed = nn.Linear(6, 12, bias=False)
        self.unembed.weight = self.embedding.weight

    def forward(self, ids):
        row = self.embedding(ids)
        for block in self.blocks:
            row = block(row)
        return self.unembed(self.norm(row))


def base() -> Model:
    torch.manual_seed(0)
    return Model()


IDS = torch.tensor([[1, 5, 7, 2], [0, 3, 3, 9]])


def step(model, optimizer) -> None:
    optimizer.zero_grad()
    functional.cross_entropy(model(IDS).flatten(0, 1), IDS.roll(-1, 1).flatten()).backward()
    optimizer.step()


def trained(settings: LoraSettings = LORA, steps: int = 2):
    model = add_lora(base(), settings)
    optimizer = torch.optim.AdamW(decayed_groups(model, 0.0), lr=0.05)
    for _ in range(steps):
        step(model, optimizer)
    return model.eval()


@pytest.mark.parametrize(
    "targets", [("first", "second"), r"blocks\.\d\.(first|second)"], ids=["names", "regular expression"]
)
def test_every_adapter_is_in_the_optimiser_and_moves_and_the_base_stays_as_it_was(targets):
    plain = base()
    model = add_lora(base(), LoraSettings(rank=3, alpha=6, dropout=0.0, targets=targets))
    adapters = {name: each for name, each in model.named_parameters() if "lora_" in name}
    assert {name.split(".")[3] + name.split(".")[4] for name in adapters} == {
        "0first",
        "0second",
        "1first",
        "1second",
    }
    assert lora_parameter_count(model) == 2 * 3 * ((6 + 10) + (10 + 6))
    groups = decayed_groups(model, 0.0)
    assert {id(each) for group in groups for each in group["params"]} == {id(each) for each in adapters.values()}
    optimizer = torch.optim.AdamW(groups, lr=0.05)
    moved = []
    for _ in range(2):
        before = {name: each.detach().clone() for name, each in adapters.items()}
        step(model, optimizer)
        moved.append({name for name, each in adapters.items() if not torch.equal(each, before[name])})
    # B is zero at first, so that A has no gradient yet.
    assert moved[0] == {name for name in adapters if "lora_B" in name}
    assert moved[1] == adapters.keys()
    frozen = {name.replace(".base_layer", ""): each for name, each in model.get_base_model().named_parameters()}
    for name, value in plain.named_parameters():
        assert torch.equal(frozen[name], value), name


def test_modules_are_trained_whole_and_tied_weights_stay_tied():
    model = trained()
    inner = model.get_base_model()
    assert inner.unembed.weight is inner.embedding.weight
    plain = base()
    for name in ("norm.weight", "norm.bias", "embedding.weight"):
        assert not torch.equal(inner.get_parameter(name), plain.get_parameter(name))
    names = {name.removeprefix("base_model.model.") for name in trainable_state(model) if "lora_" not in name}
    assert names == {"norm.weight", "norm.bias", "embedding.weight"}


def test_a_model_that_shares_the_weights_keeps_its_own():
    plain = base()
    twin = base()
    twin.norm.weight, twin.norm.bias = plain.norm.weight, plain.norm.bias
    before = plain.norm.weight.clone()
    model = add_lora(twin, LORA)
    step(model, torch.optim.SGD(decayed_groups(model, 0.0), lr=1.0))
    assert torch.equal(plain.norm.weight, before)


@pytest.mark.parametrize("whole", [(), ("norm",), ("norm", "embedding")])
def test_what_was_trained_comes_back_from_its_files(tmp_path, whole):
    model = trained(LoraSettings(rank=3, alpha=6, dropout=0.0, targets=("first",), also_train=whole))
    save_adapter(model, tmp_path, base="tiny")
    assert (tmp_path / WHOLE_WEIGHTS).exists() == bool(whole)
    settings = read_adapter_settings(tmp_path)
    assert set(settings.also_train) == set(whole)
    again = add_lora(base(), settings).eval()
    load_part(again, read_adapter_state(tmp_path))
    assert torch.equal(again(IDS), model(IDS))


def test_the_adapters_alone_are_in_the_file_that_other_tools_read(tmp_path):
    from peft import PeftModel

    model = trained(LoraSettings(rank=3, alpha=6, dropout=0.0, targets=("first",), also_train=("norm",)))
    save_adapter(model, tmp_path, base="tiny")
    assert json.loads((tmp_path / "adapter_config.json").read_text())["modules_to_save"] is None
    theirs = PeftModel.from_pretrained(base(), tmp_path).eval()
    theirs.get_base_model().norm.load_state_dict(model.get_base_model().norm.state_dict())
    torch.testing.assert_close(theirs(IDS), model(IDS))


def test_a_damaged_file_of_modules_is_refused(tmp_path):
    save_adapter(trained(), tmp_path, base="tiny")
    (tmp_path / WHOLE_WEIGHTS).write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match="trained_modules"):
        read_adapter_settings(tmp_path)


@pytest.mark.parametrize(
    ("whole", "what"),
    [(("nrom",), r"'nrom' matches no layer.*norm"), (("blocks.0",), "adapter and to be trained whole")],
)
def test_modules_that_cannot_be_trained_whole_are_refused(whole, what):
    with pytest.raises(TrainingError, match=what):
        add_lora(base(), LoraSettings(targets=("first",), also_train=whole))


def test_what_is_trained_whole_is_float32_in_a_bfloat16_model():
    """Steps of 1e-4 on numbers near 1 would be rounded away in bfloat16."""
    model = add_lora(base().bfloat16(), LORA)
    assert {each.dtype for each in model.parameters() if each.requires_grad} == {torch.float32}
    before = model.get_base_model().norm.weight.detach().clone()
    assert model(IDS).dtype == torch.bfloat16
    step(model, torch.optim.AdamW(decayed_groups(model, 0.0), lr=1e-4))
    assert not torch.equal(model.get_base_model().norm.weight, before)


def test_merged_weights_compute_the_same_and_come_out_as_they_went_in():
    model = trained()
    before, weights = model(IDS), {name: each.clone() for name, each in model.named_parameters()}
    calls = []
    layer = model.get_submodule("base_model.model.blocks.0.first")
    layer.lora_A["default"].register_forward_hook(lambda *_: calls.append(1))
    with merged(model):
        torch.testing.assert_close(model(IDS), before, atol=1e-5, rtol=1e-5)
        assert calls == []
        assert not torch.equal(
            layer.get_base_layer().weight, weights["base_model.model.blocks.0.first.base_layer.weight"]
        )
    assert torch.equal(model(IDS), before)
    assert len(calls) == 1
    for name, each in model.named_parameters():
        assert torch.equal(each, weights[name]), name


def test_short_weights_are_not_merged():
    with pytest.raises(TrainingError, match=r"bfloat16: small changes would be rounded away"):
        merge_adapters(add_lora(base().bfloat16(), LORA))
