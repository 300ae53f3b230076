"""Language models loaded for training: what is trained, in which types, and what is refused."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402

from glm_assets.errors import EncoderError, TrainingError  # noqa: E402
from glm_assets.training.backbones import default_dtype, load_backbone, meta_backbone  # noqa: E402
from glm_assets.training.lora import LoraSettings  # noqa: E402
from glm_assets_tests.encoders.huggingface.tiny_models import save_bert, save_esm  # noqa: E402
from glm_assets_tests.training.tiny_llama import LORA, reads, save_llama  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_llama(tmp_path_factory.mktemp("models") / "llama")


def forward(model):
    ids, mask, _ = reads()
    return model(input_ids=ids, attention_mask=mask).last_hidden_state


def gradients(model):
    """Gradient of each trained parameter after one backward pass of a sum that the last norm leaves free."""
    model.train()
    torch.manual_seed(3)
    forward(model)[..., 0].sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("method", ["full", "frozen"])
def test_full_trains_everything_and_frozen_nothing(folder, method):
    model = load_backbone(folder, method=method)
    assert {p.requires_grad for p in model.parameters()} == {method == "full"}
    assert not model.training


def test_checkpointing_computes_the_same_gradients_and_keeps_less(folder):
    """The dropout of the second forward pass is that of the first."""
    kept = {}
    grads = {}
    for checkpointing in (False, True):
        torch.manual_seed(7)
        model = load_backbone(folder, method="lora", lora=LORA, gradient_checkpointing=checkpointing)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.data.normal_(std=0.1)
        sizes = []

        def note(tensor, sizes=sizes):
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            grads[checkpointing] = gradients(model)
        kept[checkpointing] = sum(sizes)
    assert kept[True] < kept[False] / 5
    assert grads[True].keys() == grads[False].keys()
    for name, gradient in grads[False].items():
        torch.testing.assert_close(grads[True][name], gradient, rtol=1e-5, atol=1e-5)


def test_a_step_moves_every_adapter_and_no_weight_of_the_model(folder):
    model = load_backbone(folder, method="lora", lora=LORA, gradient_checkpointing=True)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    for _ in range(2):  # B starts at zero, so that A moves from the second step on
        optimizer.zero_grad()
        gradients(model)
        optimizer.step()
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {name for name in before if "lora_" in name}
    assert len(changed) == 2 * 4 * 2


@pytest.mark.parametrize(
    ("save", "targets"), [(save_esm, ("query", "value")), (save_bert, ("query", "output.dense"))]
)
@pytest.mark.parametrize("method", ["full", "lora"])
def test_bidirectional_models_train_every_parameter_that_is_trainable(tmp_path, save, targets, method):
    """A layer that nobody reads would never get a gradient, which a training in several processes waits for."""
    lora = LoraSettings(targets=targets) if method == "lora" else None
    model = load_backbone(save(tmp_path / "model"), method=method, lora=lora, gradient_checkpointing=True).train()
    ids = torch.randint(5, 8, (2, 12))
    model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.square().mean().backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


def test_types_of_weights_and_adapters(folder):
    """Adapters in bfloat16 would lose small steps."""
    model = load_backbone(folder, method="lora", lora=LORA, dtype="bfloat16")
    types = {"lora_" in name: p.dtype for name, p in model.named_parameters()}
    assert types == {True: torch.float32, False: torch.bfloat16}
    assert {p.dtype for p in load_backbone(folder, method="full").parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("method", "device", "dtype"),
    [
        ("full", "cuda:0", "float32"),
        ("lora", "cuda:0", "bfloat16"),
        ("frozen", "cuda:1", "bfloat16"),
        ("lora", "cpu", "float32"),
    ],
)
def test_types_of_weights_by_default(method, device, dtype):
    """Weights in bfloat16 that are trained themselves would lose small steps; a CPU is slow in it."""
    assert default_dtype(method, device) == dtype


def test_a_weight_that_is_missing_is_never_made_up(tmp_path):
    folder = save_llama(tmp_path / "llama")
    state = load_file(folder / "model.safetensors")
    del state["layers.1.mlp.up_proj.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"lack 1 tensors.*layers\.1\.mlp\.up_proj\.weight"):
        load_backbone(folder, method="frozen")


def test_pickled_weights_are_not_read(tmp_path):
    folder = save_llama(tmp_path / "llama")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(EncoderError, match="pickled weights are not read"):
        load_backbone(folder, method="frozen")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "lora"}, "needs adapters"),
        ({"method": "full", "lora": LORA}, "has no adapters"),
        ({"method": "half"}, "unknown method"),
        ({"method": "full", "dtype": "float16"}, "unknown type of weights"),
    ],
)
def test_what_does_not_belong_together_is_refused(folder, values, message):
    with pytest.raises(TrainingError, match=message):
        load_backbone(folder, **values)


def test_a_config_of_no_known_model_is_refused():
    with pytest.raises(TrainingError, match="no model can be made"):
        meta_backbone({"hidden_size": 64})
