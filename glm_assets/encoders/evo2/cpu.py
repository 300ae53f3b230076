"""What evo2 0.6.0 and vtx 1.1.0 need in order to run without a GPU (checked with torch 2.13.0).

vtx imports flash-attn's compiled kernels unconditionally, enters `torch.cuda.device` even for CPU tensors, opens
`activations_debug.log` in the current directory on import, and projects with Transformer Engine, which knows no CPU,
wherever that is installed. These four are replaced here and nothing else; the model itself stays vtx's own.
"""

from __future__ import annotations

import logging
import sys
import types
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from glm_assets.encoders.device import CPU

if TYPE_CHECKING:
    from torch import Tensor


def install(device: str, *, fp8: bool) -> None:
    """Make vtx importable and able to compute on `device`; call it before every import of vortex.

    A GPU keeps the kernels of flash-attn where they are installed, and those of Transformer Engine for FP8 alone:
    without FP8 they gain nothing, refuse checkpoints that were saved without them, and unpickle what they find in one.

    Args:
        device: `cpu` or `cuda:N`.
        fp8: Whether the model has FP8 input projections.
    """
    _provide(
        "vortex.logging",
        activations_logger=logging.getLogger("vortex.activations"),
        enable_activations_logging=lambda: None,
    )
    if not fp8:
        # None is Python's mark of a module that cannot be imported.
        sys.modules.setdefault("transformer_engine.pytorch", None)  # pyright: ignore[reportArgumentType]
    if device == CPU or not has_flash_attention():
        # The full name being present, vortex.ops, which imports the kernels, is never run.
        _provide("vortex.ops.embedding.rotary", apply_rotary=apply_rotary)
    if device == CPU:
        _let_cuda_device_ignore_cpu()
        warnings.filterwarnings("ignore", message=".*CUDA is not available.*")  # autocast("cuda") in the hcm mixer


def has_flash_attention() -> bool:
    """Whether flash-attn's compiled kernels are installed."""
    return find_spec("flash_attn_2_cuda") is not None


def apply_rotary(
    x: Tensor,
    cos: Tensor,
    sin: Tensor,
    seqlen_offsets: int | Tensor = 0,
    *,
    cu_seqlens: Tensor | None = None,
    max_seqlen: int | None = None,
    interleaved: bool = False,
    inplace: bool = False,
    conjugate: bool = False,
) -> Tensor:
    """Rotate halves of the last axis by position, as flash-attn's kernel of the same name and signature does.

    Args:
        x: (b, n, heads, width) queries or keys.
        cos: (positions, r) cosines; the first 2r entries of the last axis are rotated.
        sin: Sines of the same shape.
        seqlen_offsets: Position of the first token, one for the whole batch.
        cu_seqlens: Packed sequences; not supported.
        max_seqlen: Goes with `cu_seqlens`.
        interleaved: Rotate neighbours instead of halves; not supported.
        inplace: Write into `x`.
        conjugate: Rotate backwards (for gradients).

    Raises:
        NotImplementedError: Evo2 does not use what is asked for.
    """
    import torch

    if cu_seqlens is not None or max_seqlen is not None or interleaved or not isinstance(seqlen_offsets, int):
        raise NotImplementedError("packed, interleaved or per-row rotary positions")
    positions = slice(seqlen_offsets, seqlen_offsets + x.shape[1])
    width = cos.shape[-1]
    c, s = cos[positions, None].float(), sin[positions, None].float()
    if conjugate:
        s = -s
    first, second = x[..., :width].float(), x[..., width : 2 * width].float()
    out = x if inplace else x.clone()
    out[..., : 2 * width] = torch.cat((first * c - second * s, first * s + second * c), dim=-1).to(x.dtype)
    return out


def _provide(name: str, **attributes: Any) -> None:
    """Put a stand-in module in place unless the module is already there."""
    if name not in sys.modules:
        module = types.ModuleType(name)
        module.__dict__.update(attributes)
        sys.modules[name] = module


def _let_cuda_device_ignore_cpu() -> None:
    """Let `with torch.cuda.device("cpu")` do nothing instead of raising."""
    import torch

    original = torch.cuda.device
    if getattr(original, "ignores_cpu", False):
        return

    class Device(original):
        """`torch.cuda.device` that takes a CPU device for "no change", which it writes as index -1."""

        ignores_cpu = True

        def __init__(self, device: Any) -> None:
            is_cpu = not isinstance(device, int) and torch.device(device).type == CPU
            super().__init__(-1 if is_cpu else device)

    torch.cuda.device = Device
