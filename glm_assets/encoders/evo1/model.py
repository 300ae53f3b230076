"""Evo-1 models of stripedhyena: built without memory, filled from a file of tensors, given their types and device.

stripedhyena takes attention and rotary positions from flash-attn, which no CPU has. vtx, its successor by the same
author, has the same modules with torch's own attention, so these are used on every device.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.evo1.config import evo1_config
from glm_assets.encoders.evo2 import cpu
from glm_assets.encoders.evo2.config import blocks_needed
from glm_assets.encoders.huggingface.folder import INDEX, weight_files
from glm_assets.errors import EncoderError

if TYPE_CHECKING:
    import torch

_PREFIX = "backbone."  # of the class of transformers around the published weights
_EMBEDDING, _UNEMBEDDING = "embedding_layer.weight", "unembed.weight"
_FREQUENCIES = "rotary_emb.inv_freq"  # they follow from the configuration
_FLOAT32 = ("poles", "residues")
_BLOCK = re.compile(r"blocks\.\d+\.")


def build_model(config: Mapping[str, Any], device: str) -> Any:
    """An empty stripedhyena `StripedHyena` in evaluation mode: parameters without memory.

    Args:
        config: As `evo1_config` gives it, possibly with fewer layers.
        device: `cpu` or `cuda:N`: where it will compute.
    """
    cpu.install(device, fp8=False)
    import stripedhyena.model
    import torch
    from stripedhyena.utils import dotdict
    from vortex.model.attention import MHA
    from vortex.model.positional_embeddings import swap_mha_rope

    stripedhyena.model.MHA = MHA
    stripedhyena.model.swap_mha_rope = swap_mha_rope
    with torch.device("meta"):
        return stripedhyena.model.StripedHyena(dotdict(config)).eval()


def load_model(spec: EncoderSpec, weights: Path, device: str) -> Any:
    """The model that a specification describes, with its weights, on its device.

    Args:
        spec: From `evo1_spec`.
        weights: Safetensors, the index of divided ones, or a zip file of tensors (`torch.save` of a state dict).
        device: `cpu` or `cuda:N`.

    Raises:
        EncoderError: The weights do not fit the model.
    """
    config = evo1_config(spec.name)
    # Early exit: deeper blocks are neither built nor read.
    model = build_model(config | {"num_layers": blocks_needed(spec.layer, config)}, device)
    try:
        _fill(model, dict(_tensors(weights, len(model.blocks))))
    except (OSError, EOFError, ValueError, RuntimeError, AttributeError, pickle.UnpicklingError) as error:
        raise EncoderError(
            f"{weights} cannot be loaded as {spec.name} ({_reason(error)})",
            expected=f"tensors under the names and with the shapes of {spec.name}",
            fix="point GLM_CHECKPOINT at weights of this model, or choose the encoder that they belong to",
        ) from error
    return _place(model, spec, device)


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) or type(error).__name__


def _tensors(weights: Path, depth: int) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a file, or of all files that an index names, but those of blocks from `depth` on.

    Pickled objects of other kinds are refused.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    if weights.suffix not in (".safetensors", ".json"):
        state = torch.load(weights, map_location="cpu", weights_only=True, mmap=True)
        names = {name: name.removeprefix(_PREFIX) for name in state}
        yield from ((own, state[name]) for name, own in names.items() if not _deeper(own, depth))
        return
    for file in weight_files(weights)[weights.name == INDEX :]:
        try:
            with safe_open(file, framework="pt") as opened:
                names = {name: name.removeprefix(_PREFIX) for name in opened.keys()}  # noqa: SIM118 (no mapping)
                for name, own in names.items():
                    if not _deeper(own, depth):
                        yield own, opened.get_tensor(name)
        except SafetensorError as error:
            raise ValueError(f"{file.name}: {error}") from error


def _fill(model: Any, state: dict[str, torch.Tensor]) -> None:
    """Put tensors in the place of the model's empty parameters.

    Raises:
        ValueError: One is missing, or there is one that the model has no place for.
        RuntimeError: One is of another shape.
    """
    if _EMBEDDING in state:
        state[_UNEMBEDDING] = state[_EMBEDDING]  # they are one, and published once
    wanted = {name for name in model.state_dict() if not name.endswith(_FREQUENCIES)}
    if missing := sorted(wanted - state.keys()):
        raise ValueError(f"{len(missing)} tensors are missing, such as {missing[0]}")
    unknown = [name for name in state.keys() - wanted if not name.endswith(_FREQUENCIES)]
    if unknown:
        raise ValueError(f"{len(unknown)} tensors belong to another model, such as {min(unknown)}")
    model.load_state_dict({name: state[name] for name in wanted}, strict=False, assign=True)


def _deeper(name: str, depth: int) -> bool:
    return _BLOCK.match(name) is not None and int(name.split(".")[1]) >= depth


def _place(model: Any, spec: EncoderSpec, device: str) -> Any:
    """Give the parameters their types and the device.

    As evo does, poles and residues stay in float32: rounded, they err more with every position. So do the rotary
    frequencies, which a cast of the whole model would round as well.
    """
    import torch

    dtype = getattr(torch, spec.dtype)
    for name, parameter in model.named_parameters():
        own = torch.float32 if name.endswith(_FLOAT32) else dtype
        parameter.data = parameter.data.to(device, own)
        parameter.requires_grad_(False)
    for block in model.blocks:
        if rotary := getattr(getattr(block, "inner_mha_cls", None), "rotary_emb", None):
            rotary.inv_freq = rotary._compute_inv_freq(device)
    return model
