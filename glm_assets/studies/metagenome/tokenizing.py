"""The tokenizer of a fine-tuned classifier, and whether it fits the model."""

from __future__ import annotations

import json
from pathlib import Path

from glm_assets.encoders.huggingface.folder import CONFIG
from glm_assets.encoders.tokenizers.base import Tokenizer, vocabulary
from glm_assets.encoders.tokenizers.fit import require_fit
from glm_assets.encoders.tokenizers.registry import make_tokenizer
from glm_assets.encoders.weights import WeightsInfo
from glm_assets.studies.metagenome.configuration import ModelSettings


def study_tokenizer(model: ModelSettings, weights: WeightsInfo) -> Tokenizer:
    """The model's own tokenizer, or the configured one, without special tokens around a read.

    Args:
        model: The configuration.
        weights: Of the language model; its folder holds the model's own tokenizer.

    Raises:
        EncoderError: The tokenizer's ids are not those that the weights were trained with.
    """
    folder, given = weights.path.parent, model.tokenizer
    own = make_tokenizer("hf", folder)
    path = Path(given.path).expanduser() if given.path else folder
    tokenizer = own if (given.kind, given.path) == ("hf", None) else make_tokenizer(given.kind, path)
    rows = int(json.loads((folder / CONFIG).read_text(encoding="utf-8"))["vocab_size"])
    require_fit(tokenizer, rows, vocabulary(own))
    return tokenizer
