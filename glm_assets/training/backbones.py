"""Language models of transformers made ready for training: whole, through adapters, or not at all.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import nn

from glm_assets.encoders.device import CPU
from glm_assets.encoders.huggingface.loading import load_model
from glm_assets.errors import TrainingError
from glm_assets.training.lora import LoraSettings, add_lora
from glm_assets.training.quantization import nf4_settings, prepare_quantized

Method = Literal["full", "lora", "qlora", "frozen"]

DTYPES = ("float32", "bfloat16")
ADAPTED: tuple[Method, ...] = ("lora", "qlora")

_UNUSED = ("pooler", "contact_head")


def load_backbone(
    folder: Path,
    *,
    method: Method,
    lora: LoraSettings | None = None,
    device: str = CPU,
    dtype: str = "auto",
    gradient_checkpointing: bool = False,
) -> nn.Module:
    """Load a model without its head, with those parameters trainable that the method trains.

    Args:
        folder: With config and safetensors; every weight must be there, and no code of the folder is run.
        method: `full` trains everything, `lora` adapters, `qlora` adapters on 4-bit weights, `frozen` nothing.
        lora: The adapters, for the two methods that have them.
        device: `cpu` or `cuda:N`: a model is never divided over several.
        dtype: Of the weights, `float32` or `bfloat16`. `auto` is float32 on a CPU and for the method `full`, where
            bfloat16 would round small steps away, and else bfloat16. Adapters are float32 always.
        gradient_checkpointing: Keep only each layer's input for the backward pass and compute the rest again.

    Returns:
        The model on its device, in evaluation mode; in peft's wrapper where it has adapters.

    Raises:
        EncoderError: The folder holds no model that transformers knows by itself, or not all of its weights.
        TrainingError: Method, adapters and type do not fit each other or the model.
    """
    _check(method, lora, dtype)
    weights = default_dtype(method, device) if dtype == "auto" else dtype
    if method == "qlora":
        options = {"quantization_config": nf4_settings(device), "device_map": {"": device}}
        model = load_model(folder, weights, **options)
        prepare_quantized(model)
    else:
        model = load_model(folder, weights).to(device)
    model.config.use_cache = False
    _drop_unused(model)
    return prepare_backbone(model, method=method, lora=lora, gradient_checkpointing=gradient_checkpointing).eval()


def default_dtype(method: Method, device: str) -> str:
    """The type of weights that `auto` means: float32 where a CPU computes or all weights are trained."""
    return "float32" if device == CPU or method == "full" else "bfloat16"


def prepare_backbone(
    model: nn.Module, *, method: Method, lora: LoraSettings | None, gradient_checkpointing: bool = False
) -> nn.Module:
    """Make those parameters of a loaded model trainable that the method trains.

    Args:
        model: Of transformers.
        method: As of `load_backbone`.
        lora: As of `load_backbone`.
        gradient_checkpointing: As of `load_backbone`; of no use to a frozen model, which keeps nothing.
    """
    model.requires_grad_(method == "full")
    if gradient_checkpointing and method != "frozen":
        # The reentrant kind would not see the adapters of a first layer whose input needs no gradient.
        model.activation_checkpointing_enable({"use_reentrant": False})  # pyright: ignore[reportCallIssue]
        model.enable_input_require_grads()  # pyright: ignore[reportCallIssue]
    return add_lora(model, lora) if lora else model


def meta_backbone(config: Mapping[str, Any]) -> nn.Module:
    """A model without memory: shapes and names only.

    Args:
        config: Values of a transformers config, with its `model_type`.

    Raises:
        TrainingError: transformers does not know such a model.
    """
    from transformers import AutoConfig, AutoModel

    values = dict(config)
    try:
        made = AutoConfig.for_model(values.pop("model_type", "none"), **values)
        with torch.device("meta"):
            return AutoModel.from_config(made)
    except (ValueError, KeyError) as error:
        raise TrainingError(f"no model can be made of this config: {error}", expected="a model_type") from error


def meta_parameter_count(config: Mapping[str, Any]) -> int:
    """Parameters of a model without its head, counted without memory for them."""
    return sum(parameter.numel() for parameter in meta_backbone(config).parameters())


def _drop_unused(model: nn.Module) -> None:
    """Remove layers whose output nobody reads: trained, they would never get a gradient."""
    for name in _UNUSED:
        if getattr(model, name, None) is not None:
            setattr(model, name, None)


def _check(method: str, lora: LoraSettings | None, dtype: str) -> None:
    if method not in get_args(Method):
        raise TrainingError(f"unknown method {method!r}", expected=", ".join(get_args(Method)), fix="set method")
    if (lora is not None) != (method in ADAPTED):
        raise TrainingError(
            f"the method {method} {'needs' if lora is None else 'has no'} adapters",
            expected=f"lora settings for {' and '.join(ADAPTED)} only",
        )
    if dtype not in ("auto", *DTYPES):
        raise TrainingError(f"unknown type of weights {dtype!r}", expected=f"auto, {' or '.join(DTYPES)}")
