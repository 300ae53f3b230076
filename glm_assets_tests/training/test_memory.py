"""Estimates of memory against what PyTorch keeps, and against what METAGENE-1 was seen to take."""

from __future__ import annotations

import contextlib

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

from glm_assets.encoders.metagene.config import metagene1_config  # noqa: E402
from glm_assets.errors import TrainingError  # noqa: E402
from glm_assets.training.backbones import load_backbone, prepare_backbone  # noqa: E402
from glm_assets.training.lora import LoraSettings  # noqa: E402
from glm_assets.training.memory import (  # noqa: E402
    MemoryPlan,
    activation_bytes,
    estimate_memory,
    layer_bytes,
)
from glm_assets.training.memory_advice import advise, fits  # noqa: E402
from glm_assets.training.model_shape import ModelShape  # noqa: E402
from glm_assets_tests.training.tiny_llama import LORA, config, save_llama  # noqa: E402

torch.set_num_threads(1)

GB = 10**9
GPU_24 = 24_564 * 2**20  # what a driver states for a card of 24 GB
SMALL_LORA = LoraSettings(rank=4, alpha=8, dropout=0.05, targets=("q_proj", "v_proj"))


def kept_bytes(values, plan):
    """Bytes that PyTorch keeps in a forward pass for the backward pass, without the parameters themselves."""
    values = dict(values)
    made = transformers.AutoConfig.for_model(values.pop("model_type"), **values)
    model = transformers.AutoModel.from_config(made).to(getattr(torch, plan.dtype))
    model.config.use_cache = False
    model.enable_input_require_grads()  # so that the first layer keeps what the others do
    checkpointing = plan.gradient_checkpointing
    model = prepare_backbone(
        model, method=plan.method, lora=plan.lora, gradient_checkpointing=checkpointing
    ).train()
    ids = torch.randint(5, 32, (plan.batch, plan.max_length))
    mask = torch.ones_like(ids)
    if plan.padded:
        mask[0, -3:] = 0
    owned = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)  # alive, so that no address comes again
        return tensor

    autocast = torch.autocast("cpu", getattr(torch, plan.autocast)) if plan.autocast else contextlib.nullcontext()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), autocast:
        model(input_ids=ids, attention_mask=mask)
    return sum(size for size, _ in kept.values())


ESM = {"model_type": "esm", "attention_probs_dropout_prob": 0.0, "hidden_dropout_prob": 0.0, "pad_token_id": 1}


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        ({}, (2, 64)),
        ({"hidden_size": 128, "intermediate_size": 512, "num_key_value_heads": 2}, (3, 96)),
        ({"num_hidden_layers": 4, "intermediate_size": 80}, (1, 128)),
        ({**ESM, "mask_token_id": 4}, (2, 96)),
    ],
    ids=["llama", "grouped keys", "deep", "esm"],
)
@pytest.mark.parametrize(
    "plan",
    [
        {"method": "lora"},
        {"method": "lora", "dtype": "bfloat16", "padded": False},
        {"method": "lora", "dtype": "bfloat16", "autocast": "bfloat16"},
        {"method": "full"},
        {"method": "full", "autocast": "bfloat16", "padded": False},
    ],
    ids=["lora", "lora bf16", "lora autocast", "full", "full autocast"],
)
def test_what_is_kept_without_checkpointing(values, shape, plan):
    values = config(**values)
    targets = ("query", "value") if values["model_type"] == "esm" else LORA.targets
    lora = LoraSettings(targets=targets) if plan["method"] == "lora" else None
    plan = MemoryPlan(**{"dtype": "float32", **plan}, lora=lora, batch=shape[0], max_length=shape[1], device="cpu")
    estimate = estimate_memory(values, plan)
    assert estimate.activations + estimate.weight_copies == pytest.approx(kept_bytes(values, plan), rel=0.1)


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("layers", [2, 5])
def test_what_is_kept_with_checkpointing(method, layers):
    """Each layer's input, and once what a whole layer keeps: that much more a model one layer deeper keeps without."""
    plan = {"method": method, "lora": LORA if method == "lora" else None, "dtype": "float32", "device": "cpu"}
    kept = MemoryPlan(**plan, batch=2, max_length=96, gradient_checkpointing=True)
    whole = MemoryPlan(**plan, batch=2, max_length=96)
    one_layer = kept_bytes(config(num_hidden_layers=3), whole) - kept_bytes(config(num_hidden_layers=2), whole)
    values = config(num_hidden_layers=layers)
    measured = kept_bytes(values, kept) + one_layer
    assert estimate_memory(values, kept).activations == pytest.approx(measured, rel=0.1)


def test_autocast_to_another_type_keeps_a_copy_of_every_weight():
    """What filled the original's 24 GB at batch 1: float16 autocast over bfloat16 weights."""
    plan = {"method": "lora", "lora": LORA, "batch": 1, "max_length": 8, "device": "cpu", "padded": False}
    same = kept_bytes(config(), MemoryPlan(**plan, autocast="bfloat16"))
    other = kept_bytes(config(), MemoryPlan(**plan, autocast="float16"))
    estimate = estimate_memory(config(), MemoryPlan(**plan, autocast="float16"))
    assert estimate.weight_copies == 2 * 2 * (4 * 64 * 64 + 3 * 64 * 172)
    assert other - same == pytest.approx(estimate.weight_copies, rel=0.02)


@pytest.mark.parametrize("method", ["full", "lora", "qlora", "frozen"])
def test_weights_are_those_of_the_model_in_memory(tmp_path, method):
    lora = LORA if method.endswith("lora") else None
    model = load_backbone(save_llama(tmp_path / "llama"), method=method, lora=lora)
    held = sum(p.numel() * p.element_size() for p in model.parameters())
    for module in model.modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if state is not None:  # a scale for 64 weights, and one in float32 for 256 scales
            held += state.absmax.numel() * state.absmax.element_size() + state.state2.absmax.numel() * 4
    plan = MemoryPlan(method=method, lora=lora, dtype="float32", batch=1, max_length=8, classes=3)
    assert estimate_memory(config(), plan).weights - 4 * 3 * 65 == pytest.approx(held, rel=0.01)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_moments_and_gradients_are_those_of_what_is_trained(method):
    lora = LORA if method == "lora" else None
    plan = MemoryPlan(method=method, lora=lora, dtype="float32", batch=1, max_length=8, classes=3)
    parameters = 3 * 65 + (8_192 if lora else 64 * 64 + 2 * (4 * 64 * 64 + 3 * 64 * 172 + 2 * 64) + 64)
    estimate = estimate_memory(config(), plan)
    assert estimate.gradients == 4 * parameters
    assert estimate.optimizer == 8 * parameters


def metagene(method="lora", lora=LORA, **plan):
    return estimate_memory(metagene1_config(), MemoryPlan(method=method, lora=lora, **plan))


def test_metagene_1_takes_what_its_readme_says():
    """About 14 GB for inference in bfloat16 and about 3.5 GB of 4-bit weights."""
    inference = metagene("frozen", None, batch=1, max_length=512)
    assert inference.weights == 2 * 6_480_465_920 + 4 * 2 * 4097
    assert inference.total == pytest.approx(14 * GB, rel=0.05)
    assert metagene("qlora", batch=1, max_length=512).weights == pytest.approx(3.5 * GB, rel=0.1)


def test_metagene_1_takes_what_was_measured():
    """13.0 GB: checkpointing, 128 tokens, rank 4 on queries and values, under float16 autocast."""
    plan = {"batch": 1, "max_length": 128, "gradient_checkpointing": True}
    assert metagene(lora=SMALL_LORA, **plan, autocast="float16").total == pytest.approx(13.0 * GB, rel=0.15)
    assert metagene(lora=SMALL_LORA, **plan).total == pytest.approx(13.0 * GB, rel=0.15)


@pytest.mark.parametrize("batch", [1, 2, 128])
def test_metagene_1_at_512_does_not_fit_24_gb_where_it_did_not(batch):
    estimate = metagene(batch=batch, max_length=512, autocast="float16")
    assert not fits(estimate, GPU_24)
    verdict, *changes = advise(estimate, GPU_24)
    assert verdict.startswith("does not fit: ")
    assert "weights 13.0" in verdict
    assert "no float16 autocast over bfloat16 weights" in changes[0]
    assert f"{GPU_24 / GB:.1f} GB" in verdict


def test_advice_comes_in_an_order_and_ends_when_it_fits():
    """First what leaves the result as it is, then what changes it."""
    estimate = metagene(batch=4, max_length=512)
    steps = [
        "gradient_checkpointing",
        *("batch 2 with accumulation 2", "batch 1 with accumulation 4"),
        "method qlora",
        *("max_length 256", "max_length 128", "max_length 64"),
    ]
    for gpu, count in ((24 * GB, 1), (14_700_000_000, 3), (5 * GB, 4), (3 * GB, 7)):
        verdict, *lines = advise(estimate, gpu)
        assert verdict.startswith("does not fit")
        assert [line.startswith(step) for line, step in zip(lines, steps[:count], strict=False)] == [True] * count
        assert len(lines) == count + (gpu == 3 * GB)
    assert advise(estimate, 3 * GB)[-1].startswith("with all of this it needs a GPU with 4")
    assert len(advise(estimate, 80 * GB)) == 1
    assert advise(estimate, 80 * GB)[0].startswith("fits: ")


def test_training_everything_is_advised_to_use_adapters_before_four_bits():
    estimate = metagene("full", None, batch=1, max_length=64, dtype="float32")
    lines = advise(estimate, 6 * GB)
    order = [line.split(":")[0].split(" (")[0] for line in lines[1:]]
    assert order == [
        "gradient_checkpointing on",
        "method lora with bfloat16 weights",
        "method qlora",
    ]


@pytest.mark.parametrize(
    ("family", "advised"),
    [
        ("esm", ["gradient_checkpointing on", "method lora with bfloat16 weights", "method qlora"]),
        (
            "gpt_neox",
            ["gradient_checkpointing on"],
        ),  # its layers have names of their own, so no adapters are advised
    ],
)
def test_other_families_get_the_advice_that_fits_them(family, advised):
    sizes = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 33, "num_attention_heads": 20}
    values = {"model_type": family, "vocab_size": 33, "max_position_embeddings": 1026, "pad_token_id": 1} | sizes
    estimate = estimate_memory(values, MemoryPlan(method="full", dtype="float32", batch=1, max_length=64))
    lines = advise(estimate, 1 * GB)
    assert [line.split(":")[0].split(" (")[0] for line in lines[1:] if not line.startswith("with all")] == advised


def test_the_parts_are_the_total_and_nothing_is_forgotten():
    estimate = metagene(batch=2, max_length=64)
    assert estimate.total == sum(estimate.parts.values())
    assert len(estimate.parts) == 8
    longer, larger = metagene(batch=2, max_length=128), metagene(batch=4, max_length=64)
    assert larger.activations == pytest.approx(2 * estimate.activations, rel=1e-6)
    assert longer.activations > 2 * estimate.activations  # masks grow with the square
    shape = ModelShape.of(metagene1_config(), LORA)
    assert activation_bytes(shape, estimate.plan) > 32 * 128 * layer_bytes(shape, estimate.plan)


def test_what_cannot_be_estimated_is_refused():
    with pytest.raises(TrainingError, match="hidden_size"):
        estimate_memory({"model_type": "llama"}, MemoryPlan(method="frozen", batch=1, max_length=1))
    with pytest.raises(TrainingError, match="k_porj"):
        metagene(lora=LoraSettings(targets=("k_porj",)), batch=1, max_length=1)
    for values in ({"batch": 0}, {"dtype": "int8"}, {"method": "full"}, {"autocast": "int8"}):
        with pytest.raises(TrainingError):
            MemoryPlan(**{"method": "lora", "lora": LORA, "batch": 1, "max_length": 1, **values})
