"""Low-rank adapters (E. J. Hu et al., arXiv:2106.09685) on a model's linear layers, by peft.

Only the adapters are trained, and modules that are trained whole beside them, so a checkpoint holds these and never the
model they sit on. Importing this module imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from torch import nn

from glm_assets.errors import TrainingError
from glm_assets.training.whole_modules import train_whole

if TYPE_CHECKING:
    from peft import PeftModel

LORA_MARK = "lora_"
"""In the names of adapters' parameters."""

_NEAR_NAMES = 5


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """Which layers get adapters, and of which kind.

    Attributes:
        rank: r: a layer of i inputs and o outputs gets r (i + o) parameters.
        alpha: The adapter's output is scaled by alpha / rank.
        dropout: Rate on the adapter's input while training.
        targets: Last parts of module names, such as `q_proj`; or a regular expression that a whole name matches.
        also_train: Last parts of names of modules that are trained whole, such as `norm`: what an adapter cannot be put
            on, or would be as large as.
    """

    rank: int = 8
    alpha: float = 16
    dropout: float = 0.1
    targets: tuple[str, ...] | str = ("q_proj", "k_proj", "v_proj", "o_proj")
    also_train: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.rank < 1:
            raise TrainingError(f"lora rank {self.rank}", expected="at least 1")
        if self.alpha <= 0:
            raise TrainingError(f"lora alpha {self.alpha}", expected="more than 0")
        if not 0 <= self.dropout < 1:
            raise TrainingError(f"lora dropout {self.dropout}", expected="at least 0 and less than 1")
        if not self.targets or not all(self.targets):
            raise TrainingError(f"lora targets {self.targets!r}", expected="names of modules, or an expression")
        if isinstance(self.targets, str):
            _compiled(self.targets)

    def matching(self, names: Iterable[str]) -> list[str]:
        """Names of modules that get adapters, in their order."""
        if isinstance(self.targets, str):
            expression = _compiled(self.targets)
            return [name for name in names if expression.fullmatch(name)]
        return [name for name in names if any(_ends_with(name, target) for target in self.targets)]


def add_lora(model: nn.Module, settings: LoraSettings) -> PeftModel:
    """Put adapters on a model's layers, in place, and freeze everything else but the modules that are trained whole.

    They start as a change of nothing. They are kept in float32 whatever the model's type, and so is what is trained
    whole.

    Args:
        model: Of transformers, or any other module.
        settings: Which layers, and the adapters' shape.

    Returns:
        The model in peft's wrapper; its `forward` takes what the model's takes.

    Raises:
        TrainingError: A target matches no layer, or one that cannot have an adapter; a module to train whole is not
            there, or has adapters in it; or peft is not installed.
    """
    try:
        from peft import LoraConfig, TaskType, get_peft_model
        from transformers import PreTrainedModel
    except ImportError as error:
        raise TrainingError(f"adapters need peft: {error}", fix="pip install 'glm_assets[studies]'") from error

    expected = require_targets(model, settings)
    whole = _whole(model, settings, expected)
    _complete_config(model)
    config = LoraConfig(
        task_type=TaskType.FEATURE_EXTRACTION if isinstance(model, PreTrainedModel) else None,
        r=settings.rank,
        lora_alpha=settings.alpha,  # pyright: ignore[reportArgumentType] - a float scales as well
        lora_dropout=settings.dropout,
        target_modules=settings.targets if isinstance(settings.targets, str) else list(settings.targets),
        bias="none",
    )
    try:
        adapted = get_peft_model(model, config)
    except (ValueError, TypeError) as error:
        raise TrainingError(
            f"peft cannot put adapters on all of the {len(expected)} layers that match, such as {expected[0]}: {error}",
            expected="linear layers",
            fix="change lora.targets",
        ) from error
    _require_only_adapters(adapted, len(expected))
    for name in whole:
        train_whole(adapted.get_base_model(), name)  # pyright: ignore[reportArgumentType]
    return adapted  # pyright: ignore[reportReturnType] - mixed adapters were not asked for


def require_targets(model: nn.Module, settings: LoraSettings) -> list[str]:
    """Names of the layers that get adapters.

    Raises:
        TrainingError: One of the targets matches none; peft itself is content with any of several.
    """
    names = [name for name, _ in model.named_modules() if name]
    for target in (settings.targets,) if isinstance(settings.targets, str) else settings.targets:
        found = settings.matching(names) if isinstance(settings.targets, str) else _ending(names, target)
        if not found:
            raise _unknown(model, target, "targets")
    return settings.matching(names)


def _whole(model: nn.Module, settings: LoraSettings, adapted: list[str]) -> list[str]:
    """Names of the modules that are trained whole."""
    names = [name for name, module in model.named_modules() if name and any(True for _ in module.parameters())]
    for target in settings.also_train:
        found = _ending(names, target)
        if not found:
            raise _unknown(model, target, "also_train")
        if inside := [
            name for name in adapted if any(name == each or name.startswith(f"{each}.") for each in found)
        ]:
            raise TrainingError(
                f"{inside[0]} is to have an adapter and to be trained whole with {target!r}",
                expected="one or the other",
                fix="take it out of also_train, or out of lora.targets",
            )
    return [name for name in names if any(_ends_with(name, target) for target in settings.also_train)]


def _unknown(model: nn.Module, target: str, key: str) -> TrainingError:
    last = sorted({name.rpartition(".")[2] for name, module in model.named_modules() if _is_leaf(module)})
    near = get_close_matches(target, last, _NEAR_NAMES, cutoff=0.4) or last
    what = "the lora target" if key == "targets" else "the module to train whole"
    return TrainingError(
        f"{what} {target!r} matches no layer of {type(model).__name__}",
        expected=f"names such as {', '.join(near)}",
        fix=f"change {'lora.targets' if key == 'targets' else 'also_train'}",
    )


def lora_parameter_count(model: nn.Module) -> int:
    """Numbers in the adapters of a model."""
    return sum(parameter.numel() for name, parameter in model.named_parameters() if LORA_MARK in name)


def merge_lora(model: PeftModel) -> nn.Module:
    """Add the adapters to the weights they sit on, in place.

    Returns:
        The model as it was before `add_lora`, with other weights.

    Raises:
        TrainingError: The weights are quantised, or the sum is not finite.
    """
    if getattr(model.get_base_model(), "is_quantized", False):
        raise TrainingError(
            "adapters are not merged into 4-bit weights: the sum would be rounded to 16 values",
            fix="load the classifier on the model in full precision, with the method lora",
        )
    try:
        return model.merge_and_unload(safe_merge=True)  # pyright: ignore[reportCallIssue]
    except ValueError as error:
        raise TrainingError(f"the adapters cannot be merged: {error}", expected="finite weights") from error


def _compiled(expression: str) -> re.Pattern[str]:
    try:
        return re.compile(expression)
    except re.error as error:
        raise TrainingError(f"lora targets {expression!r}: {error}", expected="a regular expression") from error


def _ends_with(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _ending(names: list[str], target: str) -> list[str]:
    return [name for name in names if _ends_with(name, target)]


def _is_leaf(module: nn.Module) -> bool:
    return not any(True for _ in module.children()) and any(True for _ in module.parameters())


def _complete_config(model: nn.Module) -> None:
    """Let a config that is a dictionary, as StripedHyena's, be turned into one, which peft asks of it."""
    config: Any = getattr(model, "config", None)
    if isinstance(config, dict) and not callable(getattr(config, "to_dict", None)):
        kind = type(config)
        complete: Any = type(kind.__name__, (kind,), {"to_dict": _as_dict})(config)
        model.config = complete


def _as_dict(config: dict[str, Any]) -> dict[str, Any]:
    return dict(config)


def _require_only_adapters(model: nn.Module, layers: int) -> None:
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    adapters = {name for name, _ in model.named_parameters() if LORA_MARK in name}
    if trainable != adapters or len(adapters) != 2 * layers:
        odd = sorted(trainable ^ adapters)
        raise TrainingError(
            f"{len(adapters)} adapter tensors on {layers} layers; trainable and no adapter, or frozen: {odd[:5]}",
            expected="two tensors for each layer, and nothing else to train",
        )
