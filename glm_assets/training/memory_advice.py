"""Whether a training fits a GPU, and what to change until it does. Importing this module imports torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from glm_assets.errors import TrainingError
from glm_assets.training.lora import LoraSettings
from glm_assets.training.memory import MemoryEstimate, MemoryPlan, estimate_memory

# The rest is lost between the blocks that PyTorch's allocator holds.
USABLE = 0.95

_SHORTEST = 64

# What the families of Llama and of BERT call the linear layers of their attention.
_ATTENTION = r".*\.([qkvo]_proj|query|key|value)"

Change = Callable[[MemoryPlan], tuple[MemoryPlan, str] | None]


def fits(estimate: MemoryEstimate, gpu_bytes: int) -> bool:
    """Whether a training fits the memory of a GPU."""
    return estimate.total <= USABLE * gpu_bytes


def advise(estimate: MemoryEstimate, gpu_bytes: int) -> list[str]:
    """Say whether a training fits, and if not, what to change first.

    Changes that leave the result as it is come first, those that change it most last. Each builds on the one before.

    Args:
        estimate: Of the training.
        gpu_bytes: All memory of the GPU.

    Returns:
        Lines for people: the verdict, then one change a line with what is taken after it.
    """
    verdict = f"{_gb(estimate.total)} of {_gb(gpu_bytes)} GB: {_largest(estimate)}"
    if fits(estimate, gpu_bytes):
        return [f"fits: {verdict}"]
    lines = [f"does not fit: {verdict}"]
    for change in _CHANGES:
        while not fits(estimate, gpu_bytes) and (changed := change(estimate.plan)):
            plan, text = changed
            try:
                estimate = estimate_memory(estimate.config, plan)
            except TrainingError:  # a model without layers of the adapters' names
                break
            lines.append(f"{text}: {_gb(estimate.total)} GB")
    if not fits(estimate, gpu_bytes):
        lines.append(f"with all of this it needs a GPU with {_gb(int(estimate.total / USABLE))} GB")
    return lines


def _one_type(plan: MemoryPlan) -> tuple[MemoryPlan, str] | None:
    if not plan.casts or plan.method == "full":
        return None
    text = f"no {plan.autocast} autocast over {plan.dtype} weights, which keeps a copy of each"
    return replace(plan, autocast=None), text


def _checkpointing(plan: MemoryPlan) -> tuple[MemoryPlan, str] | None:
    if plan.gradient_checkpointing or plan.method == "frozen":
        return None
    return replace(plan, gradient_checkpointing=True), "gradient_checkpointing on (about a third slower)"


def _smaller_batch(plan: MemoryPlan) -> tuple[MemoryPlan, str] | None:
    if plan.batch == 1:
        return None
    batch = (plan.batch + 1) // 2
    accumulation = -(-plan.accumulation * plan.batch // batch)
    return replace(plan, batch=batch, accumulation=accumulation), f"batch {batch} with accumulation {accumulation}"


def _adapters(plan: MemoryPlan) -> tuple[MemoryPlan, str] | None:
    if plan.method != "full":
        return None
    lora = LoraSettings(targets=_ATTENTION)
    plan = replace(plan, method="lora", lora=lora, dtype="bfloat16", autocast=None)
    return plan, "method lora with bfloat16 weights"


def _four_bits(plan: MemoryPlan) -> tuple[MemoryPlan, str] | None:
    if plan.method != "lora":
        return None
    return replace(plan, method="qlora"), "method qlora (4-bit weights)"


def _shorter(plan: MemoryPlan) -> tuple[MemoryPlan, str] | None:
    if plan.max_length <= _SHORTEST:
        return None
    length = max(_SHORTEST, plan.max_length // 2)
    return replace(plan, max_length=length), f"max_length {length}"


_CHANGES: tuple[Change, ...] = (
    *(_one_type, _checkpointing, _smaller_batch),
    *(_adapters, _four_bits, _shorter),
)


def _largest(estimate: MemoryEstimate) -> str:
    """The parts from the largest on, without those of less than a hundredth."""
    parts = sorted(estimate.parts.items(), key=lambda part: -part[1])
    return ", ".join(
        f"{name.replace('_', ' ')} {_gb(size)}" for name, size in parts if 100 * size >= estimate.total
    )


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f}"
