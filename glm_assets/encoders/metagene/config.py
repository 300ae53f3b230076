"""METAGENE-1's shape as values for a transformers LlamaConfig, and the demo's; no torch or transformers here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

METAGENE1 = "metagene1"
METAGENE_DEMO = "metagene_demo"

METAGENE1_REPO = "metagene-ai/METAGENE-1"

PAD_ID, UNK_ID, BOS_ID, EOS_ID = 0, 1, 3, 4


def metagene1_config() -> dict[str, Any]:
    """METAGENE-1: 6,480,465,920 parameters without its language-model head."""
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": 1024,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "pad_token_id": PAD_ID,
        "bos_token_id": BOS_ID,
        "eos_token_id": EOS_ID,
    }


def demo_config(layers: int = 2) -> dict[str, Any]:
    """The demo: METAGENE-1's vocabulary and context, narrow and shallow enough for a CPU."""
    return metagene1_config() | {
        "architectures": ["LlamaModel"],
        "hidden_size": 64,
        "intermediate_size": 172,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
    }


METAGENE_MODELS: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    METAGENE1: metagene1_config,
    METAGENE_DEMO: demo_config,
}
"""The configuration of each."""
