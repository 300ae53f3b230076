"""Evo2 as a causal language model: loaded whole, for training or to be asked. torch is imported when it runs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.device import CPU, prepare_device
from glm_assets.encoders.evo2.config import EVO2_MODELS, fp8_missing, model_config
from glm_assets.encoders.evo2.model import load_model
from glm_assets.encoders.evo2.plan import LOGITS
from glm_assets.errors import EncoderError

if TYPE_CHECKING:
    from torch import Tensor

    from glm_assets.language.evo2_decoder import Evo2Decoder
    from glm_assets.language.evo2_network import Evo2Network

WithoutFp8 = Literal["refuse", "warn"]

START_ID: Final = 0
"""The token that ends a document, which evo2's own `prepend_bos` puts in front of a sequence."""

_BASES: Final = b"ACGT"

_log = logging.getLogger(__name__)


def require_evo2(name: str) -> None:
    """Refuse what is no Evo2 model.

    Raises:
        EncoderError: So it is.
    """
    if name not in EVO2_MODELS:
        raise EncoderError(
            f"{name!r} is no language model that can be fine-tuned here",
            expected=f"one of {', '.join(EVO2_MODELS)}",
            fix="set model.encoder",
        )


def uses_fp8(name: str, device: str, without_fp8: WithoutFp8) -> bool:
    """Whether a model projects in FP8 on a device.

    The models of 1, 20 and 40 billion parameters were trained with input projections in FP8 and lose accuracy without:
    BioNeMo's own table of checkpoints says so of `evo2_1b_base` in bfloat16, and published another, `1b-8k-bf16`, later
    for that reason. Those of 7 billion need none.

    Args:
        name: A key of `EVO2_MODELS`.
        device: `cpu` or `cuda:N`.
        without_fp8: Whether to `refuse` such a model where there is no FP8, or to `warn` and go on without.

    Raises:
        EncoderError: It is refused.
    """
    require_evo2(name)
    if not EVO2_MODELS[name].needs_fp8:
        return False
    missing = fp8_missing(device)
    if missing is None:
        return True
    reason = (
        f"{name} was trained with FP8 input projections and is of low accuracy in bfloat16, but {missing}:"
        " what it says of sequences would be worth little"
    )
    if without_fp8 == "refuse":
        raise EncoderError(
            reason,
            expected="an NVIDIA GPU with FP8 (Hopper or newer) and Transformer Engine",
            fix="use evo2_7b, which needs no FP8, or set model.without_fp8 to warn",
        )
    _log.warning("%s", reason)
    return False


def load_evo2(
    name: str,
    weights: Path,
    *,
    device: str,
    dtype: str = "auto",
    without_fp8: WithoutFp8 = "refuse",
    checkpointing: bool = False,
) -> Evo2Network:
    """Load a model at full depth, fit for gradients; nothing of it is trainable yet.

    Args:
        name: A key of `EVO2_MODELS`.
        weights: A vtx checkpoint.
        device: `cpu` or `cuda:N`.
        dtype: `float32`, or `bfloat16` for all but poles and residues; `auto` is float32 on a CPU, else bfloat16.
        without_fp8: As of `uses_fp8`.
        checkpointing: Keep only each block's input for the backward pass.

    Raises:
        EncoderError: There is no such model, it is refused here, or the weights do not fit it.
    """
    fp8 = uses_fp8(name, device, without_fp8)
    config = model_config(name)
    if dtype == "auto":
        dtype = "float32" if device == CPU else "bfloat16"
    spec = EncoderSpec(
        name=name,
        revision="",
        layer=LOGITS,
        pooling="log_likelihood",
        dimension=config["vocab_size"],
        context=config["max_seqlen"],
        dtype=dtype,
        needs=("fp8",) if fp8 else (),
        extras={"cast_all_bf16": False},
    )
    from glm_assets.language.evo2_network import Evo2Network, prepare_for_training

    model = load_model(spec, weights, device)
    prepare_for_training(model)
    model.requires_grad_(False)
    return Evo2Network(model, checkpointing=checkpointing).eval()


class Evo2LanguageModel:
    """What `language.model.LanguageModel` asks, of Evo2; bytes are its tokens.

    Args:
        network: From `load_evo2`, with adapters or without.
        name: What it is called in tables.
        device: Where it is.
        context: Longest sequence.
    """

    bases_per_token = 1
    start_id = START_ID

    def __init__(self, network: Evo2Network, *, name: str, device: str, context: int) -> None:
        self.network = network.eval()
        self.name, self.device, self.context = name, device, context

    @classmethod
    def load(
        cls,
        name: str,
        weights: Path,
        *,
        device: str,
        cpu_threads: int = 1,
        without_fp8: WithoutFp8 = "refuse",
    ) -> Evo2LanguageModel:
        """Load a model as it was published.

        Raises:
            EncoderError: As `load_evo2`.
        """
        prepare_device(device, cpu_threads)
        network = load_evo2(name, weights, device=device, without_fp8=without_fp8)
        return cls(network, name=name, device=device, context=model_config(name)["max_seqlen"])

    @property
    def vocabulary_size(self) -> int:
        """The width of its logits."""
        return self._config["vocab_size"]

    @property
    def sequence_ids(self) -> NDArray[np.int64]:
        """(4,) ids of A, C, G and T."""
        return np.frombuffer(_BASES, np.uint8).astype(np.int64)

    def encode(self, sequence: str) -> NDArray[np.int64]:
        """(L,) ids of a sequence: its bytes, so that lower case is something else."""
        return np.frombuffer(sequence.encode("ascii"), np.uint8).astype(np.int64)

    def decode(self, ids: Sequence[int] | NDArray[np.integer]) -> str:
        """The sequence that ids spell; those that are no ASCII become `?`."""
        values = np.asarray(ids, dtype=np.int64)
        return (
            np.where((values > 31) & (values < 127), values, ord("?")).astype(np.uint8).tobytes().decode("ascii")
        )

    def logits(self, ids: Tensor) -> Tensor:
        """(b, L, V) float32 for ids (b, L); gradients go through it where they are wanted."""
        return self.network(ids)

    def decoder(self, prompts: Tensor) -> Evo2Decoder:
        """Begin to draw after prompts (b, L) of equal length."""
        from glm_assets.language.evo2_decoder import Evo2Decoder

        return Evo2Decoder(self.network, prompts)

    @property
    def _config(self) -> Any:
        return self.network.striped.config
