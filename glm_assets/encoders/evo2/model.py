"""Evo2 models of vtx: built only as deep as needed, filled from a checkpoint, and given their types and device."""

from __future__ import annotations

import contextlib
import io
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.device import CPU
from glm_assets.encoders.evo2 import cpu
from glm_assets.encoders.evo2.config import BFLOAT16_SPLIT, EVO2_MODELS, blocks_needed, model_config
from glm_assets.errors import EncoderError

_log = logging.getLogger(__name__)


def build_model(config: dict[str, Any], device: str) -> Any:
    """An untrained vtx `StripedHyena` in evaluation mode; the caller's random state is left alone.

    Args:
        config: As `model_config` gives it, possibly with fewer layers.
        device: `cpu` or `cuda:N`; vtx builds on all visible GPUs, the caller moves the model.
    """
    cpu.install(device, fp8=config["use_fp8_input_projections"])
    import torch
    from vortex.model.model import StripedHyena
    from vortex.model.utils import dotdict

    with torch.random.fork_rng(devices=[]), _quiet():
        return StripedHyena(dotdict(config)).eval()


def load_model(spec: EncoderSpec, weights: Path, device: str) -> Any:
    """The model that a specification describes, with its weights, on its device.

    Args:
        spec: From `evo2_spec`.
        weights: A vtx checkpoint.
        device: `cpu` or `cuda:N`.

    Raises:
        EncoderError: The weights do not fit the model.
    """
    config = model_config(spec.name)
    # Early exit: deeper blocks are neither built nor read from the file.
    config["num_layers"] = blocks_needed(spec.layer, config)
    config["use_fp8_input_projections"] = "fp8" in spec.needs
    # flash-attn's kernels know no float32
    config["use_flash_attn"] = device != CPU and spec.dtype != "float32" and cpu.has_flash_attention()
    model = build_model(config, device)
    _read_weights(model, weights, spec)
    return _place(model, spec, device)


def _read_weights(model: Any, weights: Path, spec: EncoderSpec) -> None:
    """Fill the model from a file of tensors; vtx reads with `weights_only`, so no code in it can run.

    With FP8, Transformer Engine unpickles its own state in the file: then the file must be trusted.
    """
    from vortex.model.utils import load_checkpoint

    fill = model.custom_load_state_dict
    try:
        with _quiet():
            model.custom_load_state_dict = lambda state, strict=True: fill(_Unspelled(state), strict)
            load_checkpoint(model, str(weights))
            del model.custom_load_state_dict
    except (OSError, EOFError, RuntimeError, AttributeError, pickle.UnpicklingError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise EncoderError(
            f"{weights} cannot be loaded as {spec.name} ({reason})",
            expected=f"a zip file of tensors (torch.save of a state dict) with the shapes of {spec.name}",
            fix="point GLM_CHECKPOINT at a checkpoint of this model, or choose the encoder that it belongs to",
        ) from error


def _place(model: Any, spec: EncoderSpec, device: str) -> Any:
    """Give the model its types and its device.

    vtx has cast all but the poles and residues to bfloat16. A plain `.to(dtype)` on a GPU would cast those too and
    move the vectors by a per cent.
    """
    import torch
    from vortex.model.utils import move_to_device

    if spec.dtype == "float32" or (spec.dtype == BFLOAT16_SPLIT and device == CPU):
        model.float()
    elif spec.extras["cast_all_bf16"]:
        model.to(dtype=torch.bfloat16)
    if not EVO2_MODELS[spec.name].spread:
        move_to_device(model, torch.device(device))
        model.block_idx_to_device = dict.fromkeys(model.block_idx_to_device, device)
    return model


class _Unspelled(dict[str, Any]):
    """Tensors by name that vtx, which spells them out for a log line that nobody reads, would take seconds over."""

    def __repr__(self) -> str:
        return f"{len(self)} tensors"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Send the progress bars and prints of vtx to the debug log."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield
    if text := said.getvalue().strip():
        _log.debug("vtx: %s", text)
