"""The generated model: the same bytes every time, METAGENE-1's shape in small, and METAGENE-1's own size."""

from __future__ import annotations

import hashlib

import pytest
from safetensors.numpy import load_file

from glm_assets.encoders.metagene.config import metagene1_config
from glm_assets.encoders.metagene.demo import make_metagene_demo

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

DIGESTS = {
    "config.json": "d51cbbdec698a06b2bc61d77185638f4f3385d177ea83607cb36faff9b195d24",
    "model.safetensors": "f2bfea1979d7d5c143724302eb19ca012e8c6ef8b4d66275a41403e59f872402",
    "tokenizer.json": "7d06379d46e46d1d55fd7414a0a4c936231c3128638cd207182a87f15971ff4d",
    "tokenizer_config.json": "d313c02d9cbcf186d41056edad8a378de43eb261c056fbe636f657267518289e",
}


def test_the_same_bytes_are_made_every_time(tmp_path):
    make_metagene_demo(tmp_path / "demo")
    made = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "demo").iterdir()}
    assert made == DIGESTS


def test_the_demo_has_metagene_1s_vocabulary_and_context_and_the_weights_of_a_language_model(tmp_path):
    make_metagene_demo(tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    large = metagene1_config()
    for key in ("vocab_size", "max_position_embeddings", "rms_norm_eps", "tie_word_embeddings"):
        assert getattr(config, key) == large[key]
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in transformers.LlamaModel(config).named_parameters()}
    found = {name: value.shape for name, value in load_file(tmp_path / "model.safetensors").items()}
    assert found == {f"model.{name}": shape for name, shape in shapes.items()} | {"lm_head.weight": (1024, 64)}


def test_metagene_1_has_the_published_number_of_parameters():
    config = transformers.AutoConfig.for_model(**metagene1_config())
    with torch.device("meta"):
        model = transformers.AutoModel.from_config(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == 6_480_465_920
    assert not [name for name, _ in model.named_parameters() if name.endswith("bias")]
