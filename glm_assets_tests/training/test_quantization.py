"""4-bit weights under adapters, on the CPU: what is stored, what is learnt, and that validation breaks nothing."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")
transformers = pytest.importorskip("transformers")

from torch.nn.functional import cross_entropy  # noqa: E402

from glm_assets.training.backbones import load_backbone  # noqa: E402
from glm_assets.training.quantization import nf4_settings, quantized_layers  # noqa: E402
from glm_assets.training.sequence_classifier import SequenceClassifier  # noqa: E402
from glm_assets_tests.training.tiny_llama import LORA, reads, save_llama  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_llama(tmp_path_factory.mktemp("models") / "llama")


@pytest.mark.parametrize(("device", "dtype"), [("cpu", torch.float32), ("cuda:0", torch.bfloat16)])
def test_settings_are_those_of_the_paper(device, dtype):
    settings = nf4_settings(device)
    assert (settings.load_in_4bit, settings.bnb_4bit_quant_type) == (True, "nf4")
    assert settings.bnb_4bit_use_double_quant
    assert settings.bnb_4bit_compute_dtype == dtype


def test_linear_weights_take_half_a_byte_and_stay_near_what_they_were(folder):
    plain = transformers.LlamaModel.from_pretrained(folder).eval()
    model = load_backbone(folder, method="qlora", lora=LORA)
    layers = quantized_layers(model)
    assert len(layers) == 2 * 7
    for name in layers:
        weight = model.get_submodule(name).weight
        original = name.removeprefix("base_model.model.").removesuffix(".base_layer")
        assert weight.dtype == torch.uint8
        assert 2 * weight.numel() == plain.get_submodule(original).weight.numel()
        assert weight.quant_state.nested  # the scales are quantised too
    ids, mask, _ = reads()
    with torch.no_grad():
        exact = plain(input_ids=ids, attention_mask=mask).last_hidden_state
        near = model(input_ids=ids, attention_mask=mask).last_hidden_state
    assert 0.0 < float((near - exact).norm() / exact.norm()) < 0.2


def test_a_training_on_four_bits_learns_and_survives_its_validations(folder):
    """bitsandbytes packs the weights of an evaluated layer anew on some CPUs, and then knows no gradient."""
    torch.manual_seed(0)
    model = SequenceClassifier(
        load_backbone(folder, method="qlora", lora=LORA, gradient_checkpointing=True), classes=3
    )
    ids, mask, labels = reads()
    stored = {n: p.clone() for n, p in model.named_parameters() if p.dtype == torch.uint8}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for step in range(30):
        model.train()
        loss = cross_entropy(model(ids, mask), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step == 0:
            first = loss.item()
            with torch.no_grad():
                model.eval()(ids, mask)
    first_layer = [p.grad for n, p in model.named_parameters() if "layers.0.self_attn.q_proj.lora_B" in n]
    assert first_layer[0].abs().sum() > 0
    assert first > 0.8
    assert loss.item() < 0.02
    assert (model.eval()(ids, mask).argmax(1) == labels).all()
    assert len(stored) == 14
    assert all(torch.equal(p, stored[n]) for n, p in model.named_parameters() if n in stored)
