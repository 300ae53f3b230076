"""Reads cut to what an encoder takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.huggingface.encoder import PREFIX, most_tokens
from glm_assets.encoders.huggingface.folder import CONFIG, read_json
from glm_assets.encoders.metagene.config import METAGENE_MODELS
from glm_assets.encoders.tokenizers.hf import TOKENIZER, load_core


def cut_to_context(sequences: Sequence[str], spec: EncoderSpec, weights: Path) -> list[str]:
    """Cut reads to an encoder's context: in bases, and where a token is several of these, in tokens.

    Args:
        sequences: Upper-case DNA.
        spec: Of the encoder.
        weights: Its weights file, beside which a transformers model has its tokenizer.
    """
    cut = [sequence[: spec.context] for sequence in sequences]
    folder = weights.parent
    counts_tokens = spec.name.startswith(PREFIX) or spec.name in METAGENE_MODELS
    if not counts_tokens or not (folder / TOKENIZER).is_file():
        return cut
    core, most = load_core(folder / TOKENIZER), most_tokens(read_json(folder / CONFIG), folder)
    special = bool(spec.extras.get("special_tokens", True))
    most -= core.num_special_tokens_to_add(False) if special else 0
    # A token is a base at least.
    return [_first_tokens(sequence, core, most) if len(sequence) > most else sequence for sequence in cut]


def _first_tokens(sequence: str, core: Any, most: int) -> str:
    """The longest start that ends with a token and has no more of them; it may be divided otherwise than the whole."""
    while len(ends := [end for _, end in core.encode(sequence, add_special_tokens=False).offsets]) > most:
        sequence = sequence[: ends[most - 1]]
    return sequence
