"""How much memory a training takes, by arithmetic: before a model is downloaded or a GPU rented.

What a layer keeps for the backward pass is counted from what PyTorch saves in the layers of Llama (RMS norm, rotary
attention by a fused kernel, gated feed-forward); other families are estimated by the nearest kind of layer. Bytes
throughout. Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from glm_assets.encoders.device import CPU
from glm_assets.errors import TrainingError
from glm_assets.training.backbones import ADAPTED, Method
from glm_assets.training.lora import LoraSettings
from glm_assets.training.model_shape import ModelShape

SIZES = {"float32": 4, "bfloat16": 2, "float16": 2}

# 4 bits, a byte of scale for each 64 weights, and four for each 256 of those scales.
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)

# What CUDA, cuBLAS and their workspaces take before the first tensor.
CUDA_CONTEXT = 500_000_000


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """A training, as far as its memory depends on it.

    Attributes:
        method: As of `load_backbone`.
        lora: As of `load_backbone`.
        dtype: Of the weights: `float32`, `bfloat16` or `float16`.
        autocast: Type in which autocast multiplies; None without autocast.
        batch: Sequences in a micro-batch.
        max_length: Tokens in each.
        accumulation: Micro-batches in a step; they come one after the other and take no memory.
        gradient_checkpointing: Whether only each layer's input is kept for the backward pass.
        classes: Of the classifier.
        language_model: Whether the tokens themselves are predicted, which makes logits at every position.
        padded: Whether batches hold sequences of different lengths, which makes masks.
        device: Where it runs.
        shards: Processes over which weights, gradients and moments are divided.
    """

    method: Method
    lora: LoraSettings | None = None
    dtype: str = "bfloat16"
    autocast: str | None = None
    batch: int
    max_length: int
    accumulation: int = 1
    gradient_checkpointing: bool = False
    classes: int = 2
    language_model: bool = False
    padded: bool = True
    device: str = "cuda:0"
    shards: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be estimated."""
        if (self.lora is not None) != (self.method in ADAPTED):
            raise TrainingError(
                f"the method {self.method} with adapters {self.lora}", expected="what belongs together"
            )
        if self.dtype not in SIZES or (self.autocast or self.dtype) not in SIZES:
            raise TrainingError(f"type {self.dtype} or autocast {self.autocast}", expected=", ".join(SIZES))
        if min(self.batch, self.max_length, self.accumulation) < 1:
            raise TrainingError("batch, max_length or accumulation below 1", expected="at least 1")

    @property
    def tokens(self) -> int:
        """In one micro-batch."""
        return self.batch * self.max_length

    @property
    def casts(self) -> bool:
        """Whether autocast multiplies in another type than the weights have, and so makes copies of them."""
        return self.autocast is not None and self.autocast != self.dtype and self.method != "qlora"


@dataclass(frozen=True)
class MemoryEstimate:
    """Where the bytes go at the peak of a training step.

    Attributes:
        weights: Of the language model, adapters and head.
        weight_copies: That autocast makes where weights are of another type.
        gradients: Of what is trained.
        optimizer: Moments of what is trained.
        activations: Kept for the backward pass.
        head: Pooled states, logits and their gradients.
        workspace: Of the layer that is computed right now.
        context: Of CUDA itself.
        config: What was estimated.
        plan: What was estimated.
    """

    weights: int
    weight_copies: int
    gradients: int
    optimizer: int
    activations: int
    head: int
    workspace: int
    context: int
    config: Mapping[str, Any] = field(repr=False)
    plan: MemoryPlan = field(repr=False)

    @property
    def parts(self) -> dict[str, int]:
        """Bytes by what takes them."""
        return {key: value for key, value in asdict(self).items() if isinstance(value, int)}

    @property
    def total(self) -> int:
        """All parts together."""
        return sum(self.parts.values())


def estimate_memory(config: Mapping[str, Any], plan: MemoryPlan) -> MemoryEstimate:
    """Estimate the peak of a training step.

    Args:
        config: Values of a transformers config, with its `model_type`.
        plan: The training.

    Raises:
        TrainingError: The config lacks a size, or transformers does not know such a model.
    """
    shape = ModelShape.of(config, plan.lora)
    head = plan.classes * (shape.hidden + 1)
    base = shape.parameters if plan.method == "full" else 0
    size = SIZES[plan.dtype]
    added = shape.adapters + head  # float32
    return MemoryEstimate(
        weights=(_weights(shape, plan) + 4 * added) // plan.shards,
        weight_copies=_weight_copies(shape, plan),
        gradients=(size * base + 4 * added) // plan.shards,
        optimizer=2
        * (size * base + 4 * added)
        // plan.shards,  # AdamW's moments are of the types of what they move
        activations=0 if plan.method == "frozen" else activation_bytes(shape, plan),
        head=_head(shape, plan),
        workspace=_workspace(shape, plan),
        context=0 if plan.device == CPU else CUDA_CONTEXT,
        config=config,
        plan=plan,
    )


def activation_bytes(shape: ModelShape, plan: MemoryPlan) -> int:
    """What the layers keep for the backward pass, at its largest.

    With checkpointing that is every layer's input, and all that the one layer keeps which is computed again.
    """
    residual = SIZES[plan.dtype]
    last_norm = 4 * shape.hidden + (residual * shape.hidden if plan.method == "full" else 0)
    layer = layer_bytes(shape, plan)
    layers = shape.layers * (residual * shape.hidden if plan.gradient_checkpointing else layer)
    again = layer if plan.gradient_checkpointing else 0
    return round(plan.tokens * (layers + again + last_norm))


def layer_bytes(shape: ModelShape, plan: MemoryPlan) -> float:
    """What a layer keeps for the backward pass, per token."""
    residual = SIZES[plan.dtype]
    compute = SIZES[plan.autocast or plan.dtype]
    # An RMS norm keeps its input in float32; a layer norm keeps it as it is.
    norms = 2 * shape.hidden * (4 if shape.gated else residual)
    # Query, output, key and value, and of the softmax one sum for each head; the mask in full.
    attention = compute * (2 * shape.hidden + 2 * shape.kv_width) + 4 * shape.heads
    mask = compute * plan.max_length if plan.padded else 0
    feed_forward = compute * shape.inner * shape.kept_inner
    return norms + attention + mask + feed_forward + _trained(shape, plan, residual, compute)


def _trained(shape: ModelShape, plan: MemoryPlan, residual: int, compute: int) -> float:
    """What is kept per token to compute the gradients of weights: the inputs of trained linear layers."""
    if plan.method == "full":
        # Autocast makes a copy of the same input for each of the layers that read it: 3 and 2, or 3 and 1.
        inputs = (5 if shape.gated else 4) if plan.casts else 2
        norms = 2 * residual * shape.hidden if shape.gated else 0
        return norms + compute * (inputs * shape.hidden + shape.inner)
    if plan.lora is None:
        return 0
    adapters = 4 if plan.autocast is None else compute
    kept_by_dropout = (4 if plan.device == CPU else 1) if plan.lora.dropout else 0
    return shape.adapted_inputs * (adapters + kept_by_dropout) + shape.adapted_layers * plan.lora.rank * adapters


def _weights(shape: ModelShape, plan: MemoryPlan) -> int:
    size = SIZES[plan.dtype]
    if plan.method == "qlora":
        return round(shape.linear * NF4_BYTES) + (shape.parameters - shape.linear) * size
    return shape.parameters * size


def _weight_copies(shape: ModelShape, plan: MemoryPlan) -> int:
    """A linear layer keeps the copy of its weight that it was multiplied with, for the gradient of its input.

    Those of trained weights stay in autocast's cache besides, so that checkpointing does not help.
    """
    if not plan.casts:
        return 0
    copies = shape.linear * SIZES[plan.autocast or plan.dtype]
    if plan.method == "frozen":
        return copies // shape.linear * shape.largest
    return copies // shape.layers if plan.gradient_checkpointing and plan.method != "full" else copies


def _head(shape: ModelShape, plan: MemoryPlan) -> int:
    """Last states in float32, once as they are and once without padding; logits, log-probabilities and a gradient."""
    logits = plan.tokens * shape.vocabulary if plan.language_model else plan.batch * plan.classes
    return 2 * 4 * plan.tokens * shape.hidden + 3 * 4 * logits


def _workspace(shape: ModelShape, plan: MemoryPlan) -> int:
    """Gradients of the widest activations, and a 4-bit weight written out."""
    compute = SIZES[plan.autocast or plan.dtype]
    wide = plan.tokens * (compute * shape.inner * (3 if shape.gated else 2) + 2 * 4 * shape.hidden)
    return wide + (compute * shape.largest if plan.method == "qlora" else 0)
