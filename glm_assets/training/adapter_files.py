"""Adapters in peft's own format, `adapter_config.json` and `adapter_model.safetensors`, so that other tools read them.

peft's own reader would import modules that a config names, ask Hugging Face for a file that is not there and pass over
tensors that are missing; this one does none of that. Modules that are trained whole beside the adapters lie in a file
of their own, under the names that they have in the model without adapters. Importing this module imports torch.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from glm_assets.errors import CheckpointError
from glm_assets.storage.atomic import atomic_path, write_json
from glm_assets.training.lora import LORA_MARK, LoraSettings
from glm_assets.training.states import trainable_state

if TYPE_CHECKING:
    from peft import PeftModel

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
WHOLE_WEIGHTS = "trained_modules.safetensors"
"""Of modules that are trained whole; not there without any."""

_IN_MODEL = "base_model.model."
_MODULES = "modules"

# How peft calls a model's only adapter inside parameter names, though not in files.
_ADAPTER = ".default."

# Kinds of adapters that compute something else with the same tensors.
_OTHER_KINDS = ("use_dora", "use_rslora", "modules_to_save", "rank_pattern", "alpha_pattern", "fan_in_fan_out")


def save_adapter(model: PeftModel, folder: Path, *, base: str = "") -> None:
    """Write a model's adapters.

    Args:
        model: From `add_lora`.
        folder: Made if needed.
        base: Name of the model they sit on, for people and other tools.
    """
    config = model.peft_config["default"].to_dict()
    adapters, whole = {}, {}
    for name, value in trainable_state(model).items():
        if LORA_MARK in name:
            adapters[name.replace(_ADAPTER, ".")] = value
        else:
            whole[name.removeprefix(_IN_MODEL)] = value
    with atomic_path(folder / ADAPTER_WEIGHTS) as temporary:
        save_file(adapters, temporary)
    if whole:
        with atomic_path(folder / WHOLE_WEIGHTS) as temporary:
            modules = sorted({name.rpartition(".")[0] for name in whole})
            save_file(whole, temporary, metadata={_MODULES: json.dumps(modules)})
    else:
        (folder / WHOLE_WEIGHTS).unlink(missing_ok=True)
    write_json(
        folder / ADAPTER_CONFIG, _plain({**config, "base_model_name_or_path": base, "inference_mode": True})
    )


def read_adapter_state(folder: Path) -> dict[str, Tensor]:
    """Saved adapters and modules that were trained whole, under the names that they have in a model of `add_lora`.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    adapters = {_with_adapter(name): value for name, value in read_tensors(folder / ADAPTER_WEIGHTS).items()}
    if not (folder / WHOLE_WEIGHTS).is_file():
        return adapters
    whole = read_tensors(folder / WHOLE_WEIGHTS)
    return adapters | {f"{_IN_MODEL}{name}": value for name, value in whole.items()}


def read_adapter_settings(folder: Path) -> LoraSettings:
    """The settings that saved adapters were made with.

    Raises:
        CheckpointError: The config is missing, damaged or of another kind of adapter.
    """
    path = folder / ADAPTER_CONFIG
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        targets = config["target_modules"]
        settings = LoraSettings(
            rank=int(config["r"]),
            alpha=float(config["lora_alpha"]),
            dropout=float(config["lora_dropout"]),
            targets=targets if isinstance(targets, str) else tuple(sorted(map(str, targets))),
            also_train=_whole_modules(folder / WHOLE_WEIGHTS),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} cannot be read: {error!r}", expected="peft's description of LoRA"
        ) from error
    other = [key for key in _OTHER_KINDS if config.get(key)]
    if config.get("peft_type") != "LORA" or config.get("bias") != "none" or other:
        raise CheckpointError(
            f"{path} describes other adapters: {config.get('peft_type')}, bias {config.get('bias')}, {other}",
            expected="LORA with bias none and no variant of it",
        )
    return settings


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors in a safetensors file.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}", expected="safetensors") from error


def _whole_modules(path: Path) -> tuple[str, ...]:
    """Names of the modules in a file of those that were trained whole; none where there is no such file."""
    if not path.is_file():
        return ()
    try:
        with safe_open(path, "pt") as opened:
            return tuple(json.loads((opened.metadata() or {})[_MODULES]))
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{path.name}: {error!r}") from error


def _with_adapter(name: str) -> str:
    """`x.lora_A.weight` in a file is `x.lora_A.default.weight` in a model."""
    module, _, kind = name.rpartition(".")
    return f"{module}{_ADAPTER}{kind}"


def _plain(value: Any) -> Any:
    """JSON's types in place of sets and enumerations, which peft's settings hold."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, set | list | tuple):
        return [_plain(item) for item in (sorted(value) if isinstance(value, set) else value)]
    return getattr(value, "value", value)
