"""The plant language model among the encoders: windows are read as k-mers of one species."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from glm_assets.encoders.base import Encoder, EncoderSpec
from glm_assets.encoders.device import CPU, prepare_device
from glm_assets.encoders.evo2.plan import TWO_FORWARDS
from glm_assets.encoders.huggingface.encoder import LAST
from glm_assets.encoders.huggingface.folder import WEIGHTS
from glm_assets.encoders.offers import refuse_evo2_options, weights_type
from glm_assets.encoders.plant_lm.files import load_plant_lm, read_config
from glm_assets.encoders.pooling import Pooling
from glm_assets.encoders.reduction import first_positions
from glm_assets.encoders.tokenizers.kmer import encode_kmers
from glm_assets.errors import EncoderError
from glm_assets.storage.atomic import digest_of

if TYPE_CHECKING:
    from torch import Tensor

_POOLINGS = ("mean", "last", "max", "positions")
_LAYERS = "layers."
_CPU_BATCH_TOKENS = 1 << 16
_GPU_BATCH_TOKENS = 1 << 20


def plant_lm_spec(
    name: str,
    *,
    revision: str,
    layer: str,
    pooling: str,
    device: str,
    weights: Path | None = None,
    precision: str = "auto",
    reverse_complement: bool = False,
    fp8: bool = False,
    cast_all_bf16: bool = False,
    species: str = "",
    memory: bool = True,
) -> EncoderSpec:
    """Say what the vectors of a plant language model are, from the configuration beside its weights.

    Args:
        name: `plant_lm`.
        revision: SHA-256 of the weights.
        layer: `last_hidden_state`, or `layers.N` for the output of a layer, from 0 on.
        pooling: `mean`, `last` or `max` over the tokens, or `positions:N`: the first N tokens one after the other.
        device: `cpu` or `cuda:N`.
        weights: The safetensors file, its config.json beside it.
        precision: `float32`, `bfloat16` or `auto`, which is float32 on a CPU and bfloat16 on a GPU.
        reverse_complement: Vectors are means over both strands.
        fp8: Not offered.
        cast_all_bf16: Not offered.
        species: Whose embedding and memory are used; the model's first by default.
        memory: Whether the bucket matrix is read.

    Raises:
        EncoderError: The configuration cannot be read, or an option does not fit it.
    """
    if weights is None:
        raise EncoderError(
            f"encoder {name} is described from the file beside its weights, and none are given",
            expected=f"{WEIGHTS} of a trained plant language model",
            fix="set GLM_CHECKPOINT to it",
        )
    config, pooled = read_config(weights.parent), Pooling.parse(pooling)
    _layer_index(layer, config.layers)
    if pooled.kind not in _POOLINGS:
        raise EncoderError(
            f"encoder {name} offers no pooling {pooling!r}: its tokens are words of {config.k} bases",
            expected="mean, last, max or positions:COUNT, all of tokens",
            fix="set encoder.pooling and encoder.sequence_pooling to mean",
        )
    refuse_evo2_options(name, fp8=fp8, cast_all_bf16=cast_all_bf16)
    species = species or config.species[0]
    config.species_index(species)
    return EncoderSpec(
        name=name,
        revision=revision,
        layer=layer,
        pooling=pooling,
        dimension=pooled.dimension(config.width),
        context=config.context * config.k,
        dtype=weights_type(name, precision, device),
        reverse_complement=reverse_complement,
        extras={
            "config": digest_of(config.as_dict()),
            "memory": memory and config.memory != "none",
            "pairs": TWO_FORWARDS,
            "species": species,
        },
    )


class PlantLmEncoder(Encoder):
    """A plant language model, pooled over the k-mers of a window.

    Words are read from a window's first base on, without overlap; bases at the end that make no whole word are not
    read. A word with a letter other than A, C, G and T is left out, and those after it keep their positions.

    Args:
        spec: From `plant_lm_spec`.
        weights: The safetensors file, its config.json beside it.
        device: `cpu` or `cuda:N`.
        batch_tokens: Bases in one forward pass; a value that suits the device by default.
        cpu_threads: torch threads of this process when on a CPU.

    Raises:
        EncoderError: The files are not the specified ones, or do not load.
    """

    def __init__(
        self,
        spec: EncoderSpec,
        *,
        weights: Path,
        device: str,
        batch_tokens: int | None = None,
        cpu_threads: int = 1,
    ) -> None:
        import torch

        self.device_name = prepare_device(device, cpu_threads)
        self._network = load_plant_lm(weights.parent, device)
        config = self._network.config
        if digest_of(config.as_dict()) != spec.extras["config"]:
            raise EncoderError(f"the configuration in {weights.parent} is not the specified one")
        self.spec = spec
        self.batch_tokens = batch_tokens or (_CPU_BATCH_TOKENS if device == CPU else _GPU_BATCH_TOKENS)
        self._device = device
        self._k = config.k
        self._layer = _layer_index(spec.layer, config.layers)
        self._species = config.species_index(str(spec.extras["species"]))
        self._network.to(getattr(torch, spec.dtype))
        self._pooling = Pooling.parse(spec.pooling)

    def embed_batch(self, windows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pooled vectors of one batch, a forward for each number of words.

        Args:
            windows: (b, L) ASCII bytes.

        Returns:
            (b, dimension) float32.

        Raises:
            EncoderError: A window has no whole word of A, C, G and T.
        """
        words = windows.shape[1] // self._k
        codes, known = encode_kmers(windows[:, : words * self._k].reshape(-1), self._k)
        codes, known = codes.reshape(len(windows), words), known.reshape(len(windows), words)
        counts = known.sum(axis=1)
        if not counts.all():
            raise EncoderError(
                f"a sequence of {windows.shape[1]} bases has no word of {self._k} letters A, C, G or T",
                expected="one at least, for a plant language model to read",
            )
        vectors = np.empty((len(windows), self.spec.dimension), np.float32)
        for count in np.unique(counts):
            rows = np.flatnonzero(counts == count)
            places = known[rows].nonzero()[1].reshape(len(rows), count)
            vectors[rows] = self._forward(np.take_along_axis(codes[rows], places, axis=1), places)
        return vectors

    def _forward(self, codes: NDArray[np.uint16], places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors of rows (r, n) of words at these positions."""
        import torch

        tokens, positions = (torch.from_numpy(part.astype(np.int64)).to(self._device) for part in (codes, places))
        species = torch.full((len(codes),), self._species, device=self._device)
        with torch.inference_mode():
            hidden = self._network.hidden(
                tokens, positions, species, layer=self._layer, memory=bool(self.spec.extras["memory"])
            )
            return _pooled(self._pooling, hidden).cpu().numpy()


def _pooled(pooling: Pooling, hidden: Tensor) -> Tensor:
    """(b, n, d) to (b, dimension) float32."""
    if pooling.kind == "positions":
        return first_positions(hidden, cast("int", pooling.width))
    if pooling.kind == "last":
        return hidden[:, -1].float()
    return hidden.float().amax(dim=1) if pooling.kind == "max" else hidden.float().mean(dim=1)


def _layer_index(layer: str, layers: int) -> int | None:
    """The number of a layer; None for the state after the final norm."""
    number = layer.removeprefix(_LAYERS)
    if layer == LAST:
        return None
    if layer.startswith(_LAYERS) and number.isdecimal() and int(number) < layers:
        return int(number)
    raise EncoderError(
        f"unknown layer {layer!r}",
        expected=f"{LAST}, or {_LAYERS}0 to {_LAYERS}{layers - 1}",
        fix="set encoder.layer",
    )
