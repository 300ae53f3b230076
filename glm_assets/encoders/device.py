"""Which device an encoder computes on, found out without loading torch."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import TracebackType

from glm_assets.errors import EncoderError

CPU = "cpu"

_NO_MEMORY = re.compile("CUFFT_ALLOC_FAILED|CUBLAS_STATUS_ALLOC_FAILED|CUDA out of memory")


def resolve_device(device: str) -> str:
    """Name the device that a setting means.

    `auto` is the first NVIDIA GPU where the machine shows one (and `CUDA_VISIBLE_DEVICES` does not hide it), else
    the CPU. The device files are looked at instead of asking torch, because a step whose product is already there
    must not spend seconds on importing it.

    Args:
        device: `auto`, `cpu`, `cuda` or `cuda:N`.

    Returns:
        `cpu` or `cuda:N`.

    Raises:
        EncoderError: The name is none of these.
    """
    if device == "auto":
        return "cuda:0" if _has_nvidia_gpu() else CPU
    if device == "cuda":
        return "cuda:0"
    if device == CPU or re.fullmatch(r"cuda:\d+", device):
        return device
    raise EncoderError(f"unknown device {device!r}", expected="auto, cpu, cuda or cuda:N", fix="set GLM_DEVICE")


def prepare_device(device: str, cpu_threads: int) -> str:
    """Make torch ready for a device in this process.

    Args:
        device: As `resolve_device` names it.
        cpu_threads: torch's threads on a CPU; more than one is slower where steps share the cores.

    Returns:
        The device's name for people: `cpu`, or the GPU's model and memory.

    Raises:
        EncoderError: torch sees no GPU: it is a CPU build, or the driver does not fit.
    """
    import torch

    if device == CPU:
        torch.set_num_threads(cpu_threads)
        return CPU
    if not torch.cuda.is_available():
        raise EncoderError(
            f"torch {torch.__version__} sees no GPU, but the device is {device}",
            fix="set GLM_DEVICE=cpu, or install a CUDA build of torch",
        )
    return f"{torch.cuda.get_device_name(device)}, {total_memory(device) / 2**30:.0f} GiB"


def total_memory(device: str) -> int:
    """Bytes of a GPU's memory, used or not.

    Args:
        device: `cuda:N`.
    """
    import torch

    return torch.cuda.get_device_properties(device).total_memory


class out_of_memory_suppressed:  # noqa: N801 - reads as the function it is used as
    """End a block quietly where a GPU's memory is too small for it; cuFFT and cuBLAS say so in ways of their own.

    A class, because `contextlib.contextmanager` leaves what it swallows in a cycle of references from Python 3.12 on:
    the block's tensors would fill the memory that the next, smaller attempt needs.
    """

    def __enter__(self) -> None:
        """Nothing to set up."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        """Whether the block ended for want of memory."""
        import torch

        if isinstance(error, torch.OutOfMemoryError):
            return True
        return isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)) is not None


def peak_memory(device: str) -> int:
    """Most bytes that torch has held on a GPU so far in this process; 0 on a CPU."""
    if device == CPU:
        return 0
    import torch

    return torch.cuda.max_memory_allocated(device)


def visible_gpus(device_files: Path = Path("/dev")) -> list[str]:
    """The GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them; torch is not loaded.

    Args:
        device_files: Where the operating system shows them.
    """
    there = sorted(path.name.removeprefix("nvidia") for path in device_files.glob("nvidia[0-9]*"))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None or not there:
        return sorted(there, key=int)
    names = [name.strip() for name in visible.split(",")]
    return [name for name in names if name not in ("", "-1", "NoDevFiles")]


def show_gpu(name: str) -> None:
    """Hide all GPUs but one from this process, which has not touched torch yet; that one is then `cuda:0`.

    Args:
        name: One of `visible_gpus`.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = name


def _has_nvidia_gpu(device_files: Path = Path("/dev")) -> bool:
    return bool(visible_gpus(device_files))
