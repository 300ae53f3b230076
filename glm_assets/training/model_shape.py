"""The sizes of a transformers model that its memory follows from, read off a model without memory.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from glm_assets.errors import TrainingError
from glm_assets.training.backbones import meta_backbone
from glm_assets.training.lora import LoraSettings, require_targets

_KEYS = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")

# Their GELU is several operations, each of which keeps what it is computed from.
_WRITTEN_OUT_GELU = ("esm",)


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a model without its head.

    Attributes:
        hidden: Width h.
        inner: Width f of the feed-forward layers.
        layers: How many.
        heads: Of the attention.
        kv_width: Width of keys, and of values.
        gated: Whether the feed-forward layers multiply two inner vectors, as Llama's.
        kept_inner: How many inner vectors a feed-forward layer keeps for the backward pass.
        vocabulary: How many tokens.
        parameters: All of them.
        linear: Those of them in the weights of linear layers, which are what gets quantised.
        largest: Numbers in the largest such weight.
        adapters: Parameters of the adapters.
        adapted_inputs: Inputs of the adapted layers of one block, summed.
        adapted_layers: How many layers of one block are adapted.
    """

    hidden: int
    inner: int
    layers: int
    heads: int
    kv_width: int
    gated: bool
    kept_inner: int
    vocabulary: int
    parameters: int
    linear: int
    largest: int
    adapters: int
    adapted_inputs: float
    adapted_layers: float

    @classmethod
    def of(cls, config: Mapping[str, Any], lora: LoraSettings | None) -> ModelShape:
        """Count a model's parameters and its adapters'.

        Args:
            config: Values of a transformers config, with its `model_type`.
            lora: The adapters, if it has some.

        Raises:
            TrainingError: The config lacks a size, transformers does not know such a model, or it lacks the layers.
        """
        if missing := [key for key in _KEYS if not config.get(key)]:
            raise TrainingError(f"the config does not state {', '.join(missing)}", expected=", ".join(_KEYS))
        model = meta_backbone(config)
        hidden, inner, layers, heads = (int(config[key]) for key in _KEYS)
        linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
        adapted = [linear[name] for name in require_targets(model, lora) if name in linear] if lora else []
        gated = sum(module.out_features == inner for module in linear.values()) >= 2 * layers
        return cls(
            hidden=hidden,
            inner=inner,
            layers=layers,
            heads=heads,
            kv_width=hidden * int(config.get("num_key_value_heads") or heads) // heads,
            gated=gated,
            kept_inner=3 if gated or config["model_type"] in _WRITTEN_OUT_GELU else 1,
            vocabulary=int(config.get("vocab_size") or 0),
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            linear=sum(module.weight.numel() for module in linear.values()),
            largest=max(module.weight.numel() for module in linear.values()),
            adapters=sum(lora.rank * (m.in_features + m.out_features) for m in adapted) if lora else 0,
            adapted_inputs=sum(module.in_features for module in adapted) / layers,
            adapted_layers=len(adapted) / layers,
        )
