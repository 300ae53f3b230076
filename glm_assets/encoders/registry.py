"""The encoders by name.

A new model adds one entry: how its specification is made (cheap, without torch) and how it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from glm_assets.encoders.base import Encoder, EncoderSpec
from glm_assets.encoders.device import resolve_device
from glm_assets.encoders.evo1.config import EVO1_MODELS, evo1_spec
from glm_assets.encoders.evo1.encoder import Evo1Encoder
from glm_assets.encoders.evo2.config import EVO2_MODELS, evo2_spec
from glm_assets.encoders.evo2.encoder import Evo2Encoder
from glm_assets.encoders.huggingface.encoder import PREFIX, HuggingFaceEncoder, hf_spec
from glm_assets.encoders.metagene.config import METAGENE_MODELS
from glm_assets.encoders.metagene.encoder import metagene_spec
from glm_assets.encoders.plant_lm.config import PLANT_LM
from glm_assets.encoders.plant_lm.encoder import PlantLmEncoder, plant_lm_spec
from glm_assets.errors import EncoderError


@dataclass(frozen=True)
class Family:
    """How encoders of one kind are described and loaded.

    Attributes:
        spec: Makes the specification from a name and options.
        load: Makes the encoder from the specification, weights and machine.
    """

    spec: Callable[..., EncoderSpec]
    load: Callable[..., Encoder]


_EVO2 = Family(spec=evo2_spec, load=Evo2Encoder)
_EVO1 = Family(spec=evo1_spec, load=Evo1Encoder)
_HUGGING_FACE = Family(spec=hf_spec, load=HuggingFaceEncoder)
_METAGENE = Family(spec=metagene_spec, load=HuggingFaceEncoder)
_PLANT_LM = Family(spec=plant_lm_spec, load=PlantLmEncoder)

ENCODERS: dict[str, Family] = (
    dict.fromkeys(EVO2_MODELS, _EVO2)
    | dict.fromkeys(EVO1_MODELS, _EVO1)
    | dict.fromkeys(METAGENE_MODELS, _METAGENE)
    | {PLANT_LM: _PLANT_LM}
)


def encoder_spec(
    name: str,
    *,
    revision: str,
    layer: str,
    pooling: str = "mean",
    device: str = "auto",
    weights: Path | None = None,
    **options: bool | int | str,
) -> EncoderSpec:
    """Say what an encoder's vectors will be, without loading it or torch.

    Args:
        name: A key of `ENCODERS`, or `hf:<folder>` or `hf:owner/name` for a transformers model.
        revision: SHA-256 of the weights file, from `resolve_weights`.
        layer: The submodule whose output is pooled, such as `blocks.25.mlp.l3` or `last_hidden_state`; `logits` with
            the poolings `log_likelihood` and `positions:N`.
        pooling: As `Pooling.parse` reads it.
        device: `auto`, `cpu` or `cuda:N`; it decides the type of the computation.
        weights: The weights file, from `resolve_weights`. A transformers model or a plant language model is described
            from the files beside it; the first, without it, from the folder that its name states.
        options: What the family offers besides: `precision`, `reverse_complement`, for Evo2 `fp8` and `cast_all_bf16`,
            for transformers models `special_tokens`, for the plant language model `species` and `memory`.

    Raises:
        EncoderError: The name, layer, pooling or device is unknown, or this machine lacks what the model needs.
    """
    family = _family(name)
    device = resolve_device(device)
    if family is _HUGGING_FACE and weights:
        name = f"{PREFIX}{weights.parent}"
    described = {"weights": weights} if family in (_METAGENE, _PLANT_LM) else {}
    return family.spec(
        name, revision=revision, layer=layer, pooling=pooling, device=device, **options, **described
    )


def make_encoder(
    spec: EncoderSpec,
    *,
    weights: Path,
    device: str = "auto",
    batch_tokens: int | None = None,
    cpu_threads: int = 1,
) -> Encoder:
    """Load the encoder that a specification describes.

    Args:
        spec: From `encoder_spec`, for the same device.
        weights: The weights file whose SHA-256 is the specification's revision.
        device: `auto`, `cpu` or `cuda:N`.
        batch_tokens: Bases in one forward pass; a value that suits the device by default.
        cpu_threads: torch threads of this process when on a CPU.

    Raises:
        EncoderError: The weights do not fit, or the layer or device does not exist.
    """
    load = _family(spec.name).load
    device = resolve_device(device)
    return load(spec, weights=weights, device=device, batch_tokens=batch_tokens, cpu_threads=cpu_threads)


def is_transformers(name: str) -> bool:
    """Whether a name is that of a transformers model, which is described by the files beside its weights."""
    return name.startswith(PREFIX) or name in METAGENE_MODELS


def is_described_by_files(name: str) -> bool:
    """Whether saying what an encoder's vectors are takes the files beside its weights."""
    return is_transformers(name) or name == PLANT_LM


def _family(name: str) -> Family:
    if name.startswith(PREFIX):
        return _HUGGING_FACE
    try:
        return ENCODERS[name]
    except KeyError:
        raise EncoderError(
            f"unknown encoder {name!r}",
            expected=f"one of {', '.join(ENCODERS)}, {PREFIX}<folder> or {PREFIX}<owner/name>",
            fix="set encoder.name",
        ) from None
