"""A tiny language model of METAGENE-1's family, and reads of three classes that it can learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaModel

from glm_assets.training.lora import LoraSettings

LORA = LoraSettings(rank=8, alpha=16, dropout=0.1)


def config(**changes: Any) -> dict[str, Any]:
    """Hidden 64, 2 layers, and an inner width that is no multiple of 32."""
    return {
        "model_type": "llama",
        "vocab_size": 64,
        "hidden_size": 64,
        "intermediate_size": 172,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 128,
        **changes,
    }


def save_llama(folder: Path) -> Path:
    """The model's folder, without a tokenizer."""
    torch.manual_seed(0)
    values = {key: value for key, value in config().items() if key != "model_type"}
    LlamaModel(LlamaConfig(**values)).save_pretrained(folder)
    return folder


def reads() -> tuple[Tensor, Tensor, Tensor]:
    """Token ids (24, 32), mask and class: a class is a token that is put at twelve random places."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(24) % 3
    ids = torch.randint(8, 64, (24, 32), generator=generator)
    for row, label in enumerate(labels):
        ids[row, torch.randperm(32, generator=generator)[:12]] = 2 + label
    mask = torch.ones_like(ids)
    mask[::2, 28:] = 0
    return ids, mask, labels
