"""Classifiers on language models: they learn, and what is saved of them is enough and no more."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402

from glm_assets.encoders.huggingface.folder import model_weights, weights_digest  # noqa: E402
from glm_assets.encoders.weights import resolve_weights  # noqa: E402
from glm_assets.errors import CheckpointError, IntegrityError, TrainingError  # noqa: E402
from glm_assets.training.backbones import load_backbone  # noqa: E402
from glm_assets.training.classifier_files import (  # noqa: E402
    ClassifierCard,
    load_classifier,
    load_head,
    save_classifier,
)
from glm_assets.training.lora import lora_parameter_count  # noqa: E402
from glm_assets.training.sequence_classifier import SequenceClassifier, VectorClassifier  # noqa: E402
from glm_assets_tests.encoders.huggingface.tiny_models import divide, save_esm  # noqa: E402
from glm_assets_tests.training.tiny_llama import LORA, reads, save_llama  # noqa: E402

torch.set_num_threads(1)

METHODS = ("full", "lora", "qlora", "frozen")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_llama(tmp_path_factory.mktemp("models") / "llama")


def card(folder, method):
    digest = weights_digest(model_weights(folder))
    return ClassifierCard(
        method=method,
        encoder="tiny",
        encoder_sha256=digest,
        dtype="float32",
        labels=("SpeciesA", "SpeciesB", "SpeciesC"),
        tokenizer="0" * 64,
        max_length=32,
    )


def classifier(folder, method="lora", **options):
    torch.manual_seed(0)
    lora = LORA if method.endswith("lora") else None
    if method == "qlora":
        pytest.importorskip("bitsandbytes")
    backbone = load_backbone(folder, method=method, lora=lora, gradient_checkpointing=True)
    return SequenceClassifier(backbone, classes=3, **options)


def train(model, steps, rate=1e-2):
    ids, mask, labels = reads()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate)
    model.train()
    for _ in range(steps):
        loss = cross_entropy(model(ids, mask), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def logits(model):
    ids, mask, _ = reads()
    with torch.no_grad():
        return model.eval()(ids, mask)


def test_adapters_with_checkpointing_learn_three_classes(folder):
    model = classifier(folder)
    assert lora_parameter_count(model) == 8_192
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 8_192 + 3 * 65
    assert train(model, steps=40) < 0.01
    assert (logits(model).argmax(1) == reads()[2]).all()


def test_scores_are_a_linear_function_of_the_masked_mean(folder):
    model = classifier(folder, "frozen").eval()
    ids, mask, _ = reads()
    hidden = transformers.LlamaModel.from_pretrained(folder).eval()(ids, mask).last_hidden_state
    means = torch.stack([row[keep.bool()].mean(dim=0) for row, keep in zip(hidden, mask, strict=True)])
    torch.testing.assert_close(model.embed(ids, mask), means, rtol=1e-5, atol=1e-6)
    assert torch.equal(model.classify(model.embed(ids, mask)), model(ids, mask))
    torch.testing.assert_close(model(ids, mask), means @ model.head.out.weight.T + model.head.out.bias)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_no_score(folder, side):
    """Neither how much of it nor which tokens lie there."""
    model = classifier(folder, "lora")
    ids, mask, _ = reads()
    ids, mask = ids[:1, :20], mask[:1, :20]
    alone = model.eval()(ids, mask)
    pad = torch.full((1, 12), 63)
    parts = [(pad, 0 * pad), (ids, mask)] if side == "left" else [(ids, mask), (pad, 0 * pad)]
    padded = model(torch.cat([p[0] for p in parts], 1), torch.cat([p[1] for p in parts], 1))
    torch.testing.assert_close(padded, alone, rtol=1e-4, atol=1e-5)


def test_a_frozen_model_keeps_nothing_and_drops_nothing_while_its_head_is_trained(tmp_path):
    """With dropout in the language model, embeddings that are computed twice would differ."""
    folder = save_esm(tmp_path / "esm")
    model = classifier(folder, "frozen", dropout=0.0, hidden_layer=7).train()
    ids = torch.randint(5, 50, (2, 9))
    first = model.embed(ids, torch.ones_like(ids))
    assert not first.requires_grad
    assert torch.equal(first, model.embed(ids, torch.ones_like(ids)))
    assert model.classify(first).requires_grad
    assert [tuple(p.shape) for p in model.parameters() if p.requires_grad] == [(7, 16), (7,), (3, 7), (3,)]


def test_the_head_is_float32_under_autocast(folder):
    """Among many classes, bfloat16 logits tie."""
    model, head = classifier(folder, "lora").eval(), VectorClassifier(64, classes=3, pooling="mean").eval()
    with torch.autocast("cpu", torch.bfloat16):
        assert model(*reads()[:2]).dtype == torch.float32
        assert head(torch.zeros(2, 64)).dtype == torch.float32


def test_a_head_on_stored_vectors_scores_as_with_the_model(folder, tmp_path):
    """A frozen model's vectors are computed once; its head, saved alone, is that of the whole classifier."""
    ids, mask, labels = reads()
    vectors = classifier(folder, "frozen").eval().embed(ids, mask)
    head = VectorClassifier(64, classes=3, pooling="mean", dropout=0.0, hidden_layer=9)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        cross_entropy(head(vectors), labels).backward()
        optimizer.step()
    assert (head(vectors).argmax(1) == labels).all()
    save_classifier(tmp_path, head, card(folder, "frozen"))
    digest = card(folder, "frozen").encoder_sha256
    alone, found = load_head(tmp_path, backbone_sha256=digest)
    assert found == card(folder, "frozen")
    assert torch.equal(alone(vectors), head.eval()(vectors))
    assert torch.equal(logits(load_classifier(tmp_path, folder)[0]), alone(vectors))
    with pytest.raises(IntegrityError):
        load_head(tmp_path, backbone_sha256="0" * 64)


def test_a_head_is_never_used_without_what_was_trained_beneath_it(folder, tmp_path):
    save_classifier(tmp_path, classifier(folder), card(folder, "lora"))
    with pytest.raises(CheckpointError, match="was trained too, by lora"):
        load_head(tmp_path, backbone_sha256=card(folder, "lora").encoder_sha256)


def test_a_read_without_tokens_is_named(folder):
    ids, mask, _ = reads()
    mask[5] = 0
    with pytest.raises(TrainingError, match="sequence 5"):
        classifier(folder, "lora")(ids, mask)


def test_a_batch_on_an_accelerator_is_not_waited_for():
    """Tensors without memory stand for it: their values cannot be asked for."""

    class Backbone(torch.nn.Module):
        config = SimpleNamespace(hidden_size=8)

        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(9, 8, device="meta")

        def forward(self, input_ids, attention_mask):
            return SimpleNamespace(last_hidden_state=self.embedding(input_ids))

    ids = torch.zeros(3, 5, dtype=torch.long, device="meta")
    assert SequenceClassifier(Backbone(), classes=2).embed(ids, torch.ones_like(ids)).shape == (3, 8)


@pytest.mark.parametrize(
    "values", [{"classes": 1}, {"classes": 3, "pooling": "sum"}, {"classes": 3, "hidden_layer": 0}]
)
def test_arguments_out_of_range_are_refused(folder, values):
    with pytest.raises(TrainingError):
        SequenceClassifier(load_backbone(folder, method="frozen"), **values)


@pytest.mark.parametrize("method", METHODS)
def test_a_classifier_comes_back_with_identical_scores(folder, tmp_path, method):
    model = classifier(folder, method, pooling="max" if method == "full" else "mean", hidden_layer=5)
    train(model, steps=2)
    expected = logits(model)
    save_classifier(tmp_path, model, card(folder, method))
    back, found = load_classifier(tmp_path, folder)
    assert not back.training
    assert torch.equal(logits(back), expected)
    assert found == card(folder, method)
    assert not torch.equal(logits(classifier(folder, method, hidden_layer=5)), expected)


@pytest.mark.parametrize("method", ["lora", "qlora", "frozen"])
def test_the_model_itself_is_never_saved(folder, tmp_path, method):
    model = classifier(folder, method)
    save_classifier(tmp_path, model, card(folder, method))
    saved = {name: value for path in tmp_path.glob("*.safetensors") for name, value in load_file(path).items()}
    adapters = 0 if method == "frozen" else 8_192
    assert sum(value.numel() for value in saved.values()) == adapters + 3 * 65
    size = sum(path.stat().st_size for path in tmp_path.rglob("*"))
    assert size < (folder / "model.safetensors").stat().st_size / 10


def test_another_model_is_refused(folder, tmp_path):
    save_classifier(tmp_path / "saved", classifier(folder), card(folder, "lora"))
    other = shutil.copytree(folder, tmp_path / "other")
    data = bytearray((other / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (other / "model.safetensors").write_bytes(data)
    with pytest.raises(IntegrityError, match=r"which .* was trained on"):
        load_classifier(tmp_path / "saved", other)


@pytest.mark.parametrize("file", ["head.safetensors", "adapter_model.safetensors", "adapter_config.json"])
def test_a_damaged_or_missing_file_is_named(folder, tmp_path, file):
    save_classifier(tmp_path, classifier(folder), card(folder, "lora"))
    with (tmp_path / file).open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(CheckpointError, match=file):
        load_classifier(tmp_path, folder)
    (tmp_path / file).unlink()
    with pytest.raises(CheckpointError, match=file):
        load_classifier(tmp_path, folder)


def test_a_folder_that_was_not_finished_is_no_classifier(folder, tmp_path):
    model = classifier(folder)
    save_classifier(tmp_path, model, card(folder, "lora"))
    (tmp_path / "head.safetensors").unlink()
    (tmp_path / "head.safetensors").mkdir()  # no file can be put in its place
    with pytest.raises(OSError, match="head"):
        save_classifier(tmp_path, model, card(folder, "lora"))
    with pytest.raises(CheckpointError, match=r"classifier\.json"):
        load_classifier(tmp_path, folder)


@pytest.mark.parametrize(
    ("trained", "method", "labels"),
    [
        *(
            ("lora", "frozen", "abc"),
            ("frozen", "lora", "abc"),
            ("frozen", "full", "abc"),
            ("full", "frozen", "abc"),
        ),
        *(("lora", "lora", "ab"), ("lora", "lora", "abb")),
    ],
)
def test_a_card_of_another_classifier_is_refused(folder, tmp_path, trained, method, labels):
    wrong = ClassifierCard(**{**vars(card(folder, method)), "labels": tuple(labels)})
    with pytest.raises(CheckpointError):
        save_classifier(tmp_path, classifier(folder, trained), wrong)
    assert list(tmp_path.iterdir()) == []


def test_the_card_is_plain_json_without_places(folder, tmp_path):
    save_classifier(tmp_path, classifier(folder), card(folder, "lora"))
    text = (tmp_path / "classifier.json").read_text()
    values = json.loads(text)
    assert values["labels"] == ["SpeciesA", "SpeciesB", "SpeciesC"]
    assert values["head"] == {"pooling": "mean", "dropout": 0.1, "hidden_layer": None}
    assert str(folder) not in text


@pytest.mark.parametrize("divided", [False, True])
def test_weights_are_identified_as_the_encoders_are(tmp_path, divided):
    folder = save_esm(tmp_path / "esm")
    path = divide(folder) if divided else folder / "model.safetensors"
    info = resolve_weights(
        f"hf:{folder}", local_file=None, folder=tmp_path / "w", offline=True, progress=lambda line: None
    )
    assert info.sha256 == weights_digest(path)
