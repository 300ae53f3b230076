"""The GPU: whether it is seen, by the driver and by torch, and whether its memory holds the encoder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from glm_assets.doctor.findings import Finding
from glm_assets.encoders.device import CPU, resolve_device, visible_gpus
from glm_assets.encoders.evo2.config import EVO2_MODELS, model_config
from glm_assets.lineage.study import Study
from glm_assets.planning.cost import weights_bytes

_FP8_SINCE: Final = 8.9
"""Compute capability of the first GPUs with FP8."""

_BYTES_A_TOKEN: Final = 300_000
"""What a token of a batch takes in the memory of a GPU beside the weights of a model as wide as Evo2 7B, about."""

_WIDTH: Final = 4096
_TORCH_SEES = "import torch; print(torch.cuda.is_available(), torch.__version__)"


@dataclass(frozen=True)
class Gpu:
    """A GPU as its driver tells of it; `memory` in bytes."""

    name: str
    memory: int
    capability: float


def ask_driver() -> list[Gpu]:
    """The GPUs of this machine, in their order; none where there is no driver."""
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=name,memory.total,compute_cap", "--format=csv,noheader,nounits"]
    done = subprocess.run(query, check=False, capture_output=True, text=True, timeout=8)
    rows = [line.split(",") for line in done.stdout.splitlines() if line.count(",") == 2]
    return [Gpu(name.strip(), int(float(memory)) * 2**20, float(power)) for name, memory, power in rows]


def check_gpu(study: Study, gpus: Callable[[], list[Gpu]] = ask_driver) -> Finding:
    """Whether the GPU that the device names is there, and holds the encoder."""
    device = resolve_device(study.settings.device)
    found = gpus()
    if device == CPU:
        there = ", ".join(gpu.name for gpu in found) or "none here"
        return Finding("GPU", "ok", f"not used: the device is the CPU (GPUs: {there})")
    number = int(device.partition(":")[2])
    if number >= len(found):
        fix = "install the driver (nvidia-smi shows it), or set GLM_DEVICE=cpu"
        return Finding("GPU", "missing", f"{device} is not there; the driver shows {len(found)} GPUs", fix)
    return _judged(study, found[number])


def _judged(study: Study, gpu: Gpu) -> Finding:
    name, shown = study.profile.encoder.name, f"{gpu.name}, {gpu.memory / 2**30:.0f} GiB"
    model = EVO2_MODELS.get(name)
    if model is None:
        return Finding("GPU", "ok", shown)
    weights = weights_bytes(study)
    wanted = (
        weights + _BYTES_A_TOKEN * study.profile.encoder.batch_tokens * model_config(name)["hidden_size"] // _WIDTH
    )
    if weights > gpu.memory and not model.spread:
        fix = "use a GPU with more memory, or a smaller model (GLM_ENCODER)"
        return Finding("GPU", "missing", f"{shown}; the weights of {name} take {weights / 2**30:.0f}", fix)
    if model.needs_fp8 and gpu.capability < _FP8_SINCE:
        fix = "use a GPU with FP8 (Ada, Hopper or newer), or evo2_7b, which runs without"
        return Finding("GPU", "missing", f"{shown}, without FP8, which {name} needs", fix)
    if wanted > gpu.memory:
        text = (
            f"{shown}; {name} takes about {wanted / 2**30:.0f} with the profile's batches, so that they are halved"
        )
        return Finding("GPU", "warning", text, "lower encoder.batch_tokens in the profile")
    return Finding("GPU", "ok", f"{shown}; {name} takes about {wanted / 2**30:.0f}")


def check_cuda(study: Study) -> Finding:
    """Whether torch sees the GPUs, asked of a process of its own: the answer takes memory on a GPU."""
    if resolve_device(study.settings.device) == CPU:
        return Finding("CUDA", "ok", "not used")
    done = subprocess.run(
        [sys.executable, "-c", _TORCH_SEES], check=False, capture_output=True, text=True, timeout=15
    )
    if done.stdout.startswith("True"):
        return Finding("CUDA", "ok", f"torch sees {len(visible_gpus())} GPUs")
    reason = (done.stderr.strip().splitlines() or ["torch sees no GPU"])[-1]
    fix = "install a CUDA build of torch that fits the driver, check CUDA_VISIBLE_DEVICES, or set GLM_DEVICE=cpu"
    return Finding("CUDA", "missing", reason, fix)
