"""Whether a training fits the GPU, said before it starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from glm_assets.encoders.device import CPU, resolve_device, total_memory
from glm_assets.encoders.huggingface.folder import CONFIG
from glm_assets.encoders.weights import WeightsInfo
from glm_assets.errors import TrainingError
from glm_assets.studies.metagenome.study import MetagenomeStudy


def plan_memory(
    study: MetagenomeStudy, weights: WeightsInfo, classes: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Estimate the memory of a fine-tuning; nothing of a frozen model, whose head takes next to none.

    Args:
        study: The study; its `gpu_memory_gb` stands for a GPU that is not here.
        weights: Of the language model, whose configuration lies beside them.
        classes: How many labels there are.
        progress: Told the estimate and, where it is too much, what to change.

    Returns:
        Facts: parameters of the language model, gigabytes by what takes them, and the advice.

    Raises:
        TrainingError: It does not fit the GPU that it would run on.
    """
    from glm_assets.training.backbones import meta_parameter_count
    from glm_assets.training.lora import LoraSettings
    from glm_assets.training.memory import MemoryPlan, estimate_memory
    from glm_assets.training.memory_advice import advise, fits

    values = study.values
    model, training, device = values.model, values.training, resolve_device(study.main.settings.device)
    if model.method == "frozen":
        return {}
    config = json.loads((weights.path.parent / CONFIG).read_text(encoding="utf-8"))
    whole = model.method == "full"
    narrow = training.precision != "float32"
    plan = MemoryPlan(
        method=model.method,
        lora=LoraSettings(**model.lora.model_dump()) if model.lora else None,
        dtype="float32" if whole or not narrow else "bfloat16",
        autocast="bfloat16" if whole and narrow else None,
        batch=training.batch_size,
        max_length=model.max_length,
        accumulation=training.accumulation,
        gradient_checkpointing=model.gradient_checkpointing,
        classes=classes,
        shards=training.processes if training.strategy == "fsdp" else 1,
    )
    estimate = estimate_memory(config, plan)
    memory = _gpu_bytes(study, device)
    said = advise(estimate, memory) if memory else []
    each = "a GPU" if plan.shards == 1 else f"each of {plan.shards} GPUs that weights and moments are divided over"
    progress(f"a step is estimated to take {estimate.total / 1e9:.2f} GB of {each}. {' '.join(said)}".rstrip())
    if memory and device != CPU and not fits(estimate, memory):
        raise TrainingError(
            f"training does not fit the memory of {device}: {said[0]}",
            expected=f"at most {memory / 1e9:.1f} GB",
            fix="; ".join(said[1:]) or "take a larger GPU",
        )
    parts = {name: round(size / 1e9, 3) for name, size in estimate.parts.items()}
    return {
        "model_parameters": meta_parameter_count(config),
        "gpu_gb": {**parts, "total": round(estimate.total / 1e9, 3)},
        "memory_advice": said,
    }


def _gpu_bytes(study: MetagenomeStudy, device: str) -> int | None:
    """Memory of the GPU that is planned for, or that is here; None where neither is."""
    if study.values.gpu_memory_gb:
        return int(study.values.gpu_memory_gb * 1e9)
    if device == CPU:
        return None
    return total_memory(device)
