"""How much memory a device has left for data.

Importing this module imports torch.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil
import torch

_CGROUP = Path("/sys/fs/cgroup")


def fits(size: int, device: torch.device) -> bool:
    """Whether so many bytes take at most half of what is free on a device."""
    return 2 * size <= free_memory(device)


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a GPU, or available on the host: within the container, if that has a limit."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    available = psutil.virtual_memory().available
    with suppress(OSError, ValueError):  # no container, or none with a limit
        limit = int((_CGROUP / "memory.max").read_text())
        available = min(available, max(0, limit - _used_by_container()))
    return available


def _used_by_container() -> int:
    """Bytes in use, less the pages of files that the kernel can drop at any time."""
    counts = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
    return int((_CGROUP / "memory.current").read_text()) - int(counts["inactive_file"])
