"""A tiny model of METAGENE-1's form: its vocabulary's layout, tokenizer and context, with made weights.

It is no language model; its vectors are random features of a read's tokens, which is enough to exercise every step.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glm_assets.encoders.demo import SEED, generator_of
from glm_assets.encoders.huggingface.folder import CONFIG, WEIGHTS
from glm_assets.encoders.metagene.config import BOS_ID, EOS_ID, METAGENE_DEMO, demo_config
from glm_assets.storage.atomic import atomic_path, digest_of, write_json

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[SEP]", "[BOS]", "[EOS]", "[MASK]")
ALPHABET = "_ACGTN"

_READS, _LENGTH = 400, 150


def metagene_recipe() -> str:
    """Digest of what the demo's files are a function of; it names their folder."""
    return digest_of({"config": demo_config(), "seed": SEED, "reads": [_READS, _LENGTH]})


def make_metagene_demo(folder: Path) -> None:
    """Write the demo's config, tokenizer and weights; the same bytes come out every time.

    Args:
        folder: Of the model; made if need be.
    """
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CONFIG, demo_config() | {"dtype": "float32"})
    write_json(folder / "tokenizer_config.json", _tokenizer_config())
    with atomic_path(folder / "tokenizer.json") as temporary:
        temporary.write_text(json.dumps(_tokenizer(), indent=1), encoding="utf-8")
    # Last, because a folder with weights is taken as whole.
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file({name: _draw(name, shape) for name, shape in _shapes()}, temporary, {"format": "pt"})


def _shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the parameters, as a published LlamaForCausalLM has them."""
    config = demo_config()
    width, inner, rows = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    yield "model.embed_tokens.weight", (rows, width)
    for layer in range(config["num_hidden_layers"]):
        block = f"model.layers.{layer}."
        for part in "qkvo":
            yield f"{block}self_attn.{part}_proj.weight", (width, width)
        yield f"{block}mlp.gate_proj.weight", (inner, width)
        yield f"{block}mlp.up_proj.weight", (inner, width)
        yield f"{block}mlp.down_proj.weight", (width, inner)
        yield f"{block}input_layernorm.weight", (width,)
        yield f"{block}post_attention_layernorm.weight", (width,)
    yield "model.norm.weight", (width,)
    yield "lm_head.weight", (rows, width)


def _draw(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A parameter, of a scale that keeps activations near one."""
    if name.endswith("norm.weight"):
        return np.ones(shape, np.float32)
    normal = generator_of(f"{METAGENE_DEMO}:{name}").standard_normal(shape)
    scale = 1.0 if "embed_tokens" in name else 1 / math.sqrt(shape[-1])
    return (scale * normal).astype(np.float32)


def _tokenizer() -> dict[str, Any]:
    """A `tokenizer.json`: special tokens, single letters and merges, in METAGENE-1's order of ids."""
    merges = _merges(demo_config()["vocab_size"] - len(SPECIAL_TOKENS) - len(ALPHABET))
    tokens = [*SPECIAL_TOKENS, *ALPHABET, *("".join(pair) for pair in merges)]
    frame = {text: {"id": text, "ids": [index], "tokens": [text]} for text, index in _FRAME.items()}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(text, index) for index, text in enumerate(SPECIAL_TOKENS)],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "[BOS]", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[EOS]", "type_id": 0}},
            ],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": frame,
        },
        "decoder": None,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "[UNK]",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {text: index for index, text in enumerate(tokens)},
            "merges": merges,
        },
    }


_FRAME = {"[BOS]": BOS_ID, "[EOS]": EOS_ID}


def _added(text: str, index: int) -> dict[str, Any]:
    shape = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": index, "content": text} | shape


def _tokenizer_config() -> dict[str, Any]:
    names = ("pad_token", "unk_token", "sep_token", "bos_token", "eos_token", "mask_token")
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": demo_config()["max_position_embeddings"],
        **dict(zip(names, SPECIAL_TOKENS, strict=True)),
    }


def _merges(count: int) -> list[list[str]]:
    """Pairs of tokens that the library's trainer merges in made reads, the most frequent first."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(vocab_size=4 + count, initial_alphabet=list("ACGT"), show_progress=False)
    core.train_from_iterator(_reads(), trainer)
    return json.loads(core.to_str())["model"]["merges"]


def _reads() -> Iterator[str]:
    """Reads of unequal base frequencies, so that merges of some are longer than of others."""
    letters = np.frombuffer(b"ACGT", np.uint8)
    generator = generator_of(f"{METAGENE_DEMO}:reads")
    for draws in generator.integers(0, 10, (_READS, _LENGTH)):
        yield letters[np.array([0, 0, 0, 1, 1, 2, 2, 3, 3, 3])[draws]].tobytes().decode()
