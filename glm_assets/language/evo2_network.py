"""A vtx `StripedHyena` as a module that is trained: ids to logits, with gradients, a block at a time.

Importing this module imports torch, and not vtx.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from glm_assets.encoders.evo2.likelihood import logits_of_outputs
from glm_assets.training.lora import LoraSettings, add_lora

if TYPE_CHECKING:
    from peft import PeftModel


class Evo2Network(nn.Module):
    """Ids (b, L) to logits (b, L, V) in float32.

    The final norm, the unembedding and their gradients are float32 whatever the blocks are in, as
    `encoders.evo2.likelihood` has it and for its reason.

    Args:
        model: A vtx `StripedHyena` on its device; `prepare_for_training` before this if it is to be trained.
        checkpointing: Keep only each block's input for the backward pass, and compute the rest again.
    """

    def __init__(self, model: nn.Module, *, checkpointing: bool = False) -> None:
        super().__init__()
        self.model = model
        self.checkpointing = checkpointing
        self.dtype = cast("Any", model).blocks[0].mlp.l3.weight.dtype
        self._caches = [module for module in model.modules() if hasattr(module, "t") or _is_rotary(module)]

    @property
    def striped(self) -> Any:
        """The `StripedHyena`, out of peft's wrapper where it has one."""
        return self.model.get_base_model() if hasattr(self.model, "peft_config") else self.model  # pyright: ignore

    def adapt(self, settings: LoraSettings) -> PeftModel:
        """Put adapters on it, in place."""
        adapted = add_lora(self.model, settings)
        self.model = adapted
        return adapted

    def forward(self, ids: Tensor) -> Tensor:
        """Logits; those of row i are about token i + 1."""
        if torch.is_grad_enabled():
            self._forget_inference_caches()
        keeps_less = self.checkpointing and self.training and torch.is_grad_enabled()
        row = self.embed(ids)
        for index, block in enumerate(self.striped.blocks):
            row = self.striped.cross_device_transfer(row, index)
            row = checkpoint(block, row, use_reentrant=False)[0] if keeps_less else block(row)[0]
        return logits_of_outputs(self.striped, row)

    def last_logits(self, ids: Tensor, state: Mapping[str, Any]) -> Tensor:
        """(b, V) after ids that come after those that a vtx state holds, which takes them in."""
        row = self.embed(ids)
        for index, block in enumerate(self.striped.blocks):
            row = self.striped.cross_device_transfer(row, index)
            row = block(row, inference_params=state[self.striped.block_idx_to_name(index)])[0]
        return logits_of_outputs(self.striped, row[:, -1])

    def embed(self, ids: Tensor) -> Tensor:
        """The stream's beginning, in the type that blocks compute in."""
        return self.striped.embedding_layer(ids).to(self.dtype)

    def _forget_inference_caches(self) -> None:
        """Drop positions and angles that were computed in inference mode, through which no gradient goes."""
        for module in cast("list[Any]", self._caches):
            if _is_rotary(module):
                if module._cos_cached is not None and module._cos_cached.is_inference():
                    module._seq_len_cached = 0
            elif module.t is not None and module.t.is_inference():
                module.t = None


def prepare_for_training(model: nn.Module) -> None:
    """Make a loaded `StripedHyena` fit for gradients and adapters, in place; what it computes stays the same.

    vtx fills a part of its parameters in inference mode, and such tensors can take no part in a backward pass. Its
    input projections, where they are not Transformer Engine's, become ordinary linear layers, which can have adapters.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)  # FSDP knows no other
        for module in cast("list[Any]", list(model.modules())):
            for name, buffer in module.named_buffers(recurse=False):
                setattr(module, name, buffer.clone())
            if hasattr(module, "t"):
                module.t = None
    for block in cast("Any", model).blocks:
        projections = getattr(block, "projections", None)
        if (
            projections is not None
            and type(projections).__module__.startswith("vortex")
            and _is_plain(projections)
        ):
            block.projections = _linear_of(projections)


def copy_sharing_weights(model: nn.Module) -> nn.Module:
    """A copy whose parameters and buffers are those of the model: adapters on it leave the model without."""
    shared = [*model.parameters(), *model.buffers()]
    return deepcopy(model, {id(tensor): tensor for tensor in shared})


def _is_plain(projections: Any) -> bool:
    """Whether a projection is vtx's own and not a child of Transformer Engine's."""
    return not any(parent.__module__.startswith("transformer_engine") for parent in type(projections).__mro__)


def _linear_of(projections: Any) -> nn.Linear:
    """A linear layer with a projection's own parameters."""
    with torch.device("meta"):
        linear = nn.Linear(projections.in_features, projections.out_features, bias=projections.bias is not None)
    linear.weight, linear.bias = projections.weight, projections.bias
    return linear


def _is_rotary(module: nn.Module) -> bool:
    return hasattr(module, "_cos_cached")
