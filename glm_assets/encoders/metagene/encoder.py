"""METAGENE-1 among the encoders: a transformers model that sees reads without special tokens around them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.huggingface.encoder import PREFIX, hf_spec
from glm_assets.encoders.huggingface.folder import CONFIG, read_json
from glm_assets.encoders.metagene.config import METAGENE1_REPO, METAGENE_MODELS
from glm_assets.errors import EncoderError

_SHAPE = (
    "model_type",
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
)


def metagene_spec(
    name: str, *, weights: Path | None = None, special_tokens: bool = False, **options: Any
) -> EncoderSpec:
    """Say what the vectors of METAGENE-1 or its demo are, from the JSON files beside the weights.

    Args:
        name: A key of `METAGENE_MODELS`.
        weights: The safetensors file or index, from `resolve_weights`.
        special_tokens: Whether [BOS] and [EOS] are put around a read, as its tokenizer does unless told otherwise.
        options: As of `hf_spec`.

    Raises:
        EncoderError: The folder is not that of such a model, or an option does not fit.
    """
    if weights is None:
        raise EncoderError(
            f"encoder {name} is described from the files beside its weights, and none are given",
            expected=f"the safetensors of {METAGENE1_REPO}, or of the generated demo",
            fix="materialize the asset that brings the weights first",
        )
    _check_shape(name, weights.parent)
    spec = hf_spec(f"{PREFIX}{weights.parent}", special_tokens=special_tokens, **options)
    return replace(spec, name=name)


def _check_shape(name: str, folder: Path) -> None:
    expected, found = METAGENE_MODELS[name](), read_json(folder / CONFIG)
    for key in _SHAPE:
        if found.get(key) != expected[key]:
            raise EncoderError(
                f"the model in {folder} is not {name}: its {key} is {found.get(key)!r}",
                expected=repr(expected[key]),
                fix=f"set GLM_CHECKPOINT to the weights of {name}, or GLM_ENCODER to {PREFIX}{folder}",
            )
