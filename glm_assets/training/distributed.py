"""The processes of a training, as seen by one of them.

Importing this module imports torch.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from glm_assets.errors import TrainingError

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Ranks:
    """One process among those that train together; a single one by default, for which everything here is free.

    What is asked of all processes (`total`, `gather`, `first`, `barrier`) must be asked by all of them in the
    same order.

    Attributes:
        rank: The number of this process, from 0.
        size: How many there are.
        device: Where it trains: `cpu` or `cuda:N`.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and tells."""
        return self.rank == 0

    def share(self, rows: int) -> slice:
        """This process's part of so many rows; the parts are contiguous and differ by one row at most."""
        return slice(rows * self.rank // self.size, rows * (self.rank + 1) // self.size)

    def total(self, value: Tensor) -> Tensor:
        """The sum of the processes' tensors, on every one of them."""
        if self.size > 1:
            value = value.to(self.device, copy=True)
            dist.all_reduce(value)
        return value

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """The processes' rows, one process's after the other's, on every one of them.

        Of rows that were shared out by `share` that is their old order.

        Args:
            rows: (n, ...) of numbers or booleans; n may differ between processes.
        """
        if self.size == 1:
            return rows
        counts = [int(count) for count in self._all(torch.tensor([len(rows)]))]
        padded = np.zeros((max(counts), *rows.shape[1:]), rows.dtype)
        padded[: len(rows)] = rows
        parts = self._all(torch.from_numpy(padded))
        return np.concatenate([part[:count].cpu().numpy() for part, count in zip(parts, counts, strict=True)])

    def first(self, value: _Value) -> _Value:
        """The first process's value, which JSON can hold, on every one of them."""
        if self.size == 1:
            return value
        text = np.frombuffer(json.dumps(value).encode() if self.is_first else b"", np.uint8)
        return json.loads(self.gather(text).tobytes())

    def barrier(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            self.total(torch.zeros(1))

    def align_generators(self) -> None:
        """Seed torch alike in all processes, by a number that the first one draws."""
        if self.size > 1:
            torch.manual_seed(self._drawn())

    def part_generators(self) -> None:
        """Seed torch apart in all processes but the first, which goes on drawing as it was."""
        if self.size > 1:
            seed = self._drawn()
            if not self.is_first:
                torch.manual_seed(seed + self.rank)

    def _drawn(self) -> int:
        return self.first(int(torch.randint(2**48, (1,))))

    def _all(self, value: Tensor) -> list[Tensor]:
        value = value.to(self.device)
        parts = [torch.empty_like(value) for _ in range(self.size)]
        dist.all_gather(parts, value)
        return parts


ALONE = Ranks()

# While the first process writes a checkpoint of many gigabytes, the others wait; torch would give up after 10 minutes.
# `launch` ends them all at once when one of them fails, so that none waits for nothing.
_PATIENCE = timedelta(hours=12)


def join(rank: int, size: int, backend: str, rendezvous: str) -> Ranks:
    """Join the processes that train together.

    Args:
        rank: The number of this process.
        size: How many there are.
        backend: `gloo` for CPUs, `nccl` for GPUs.
        rendezvous: Path of a file, not there before the first comes, on a disk that all of them see.

    Raises:
        TrainingError: There are fewer GPUs than processes.
    """
    if backend == "nccl" and size > torch.cuda.device_count():
        raise TrainingError(
            f"{size} processes cannot share {torch.cuda.device_count()} GPUs",
            fix="start one process a GPU, or use the backend gloo",
        )
    device = f"cuda:{rank}" if backend == "nccl" else "cpu"
    if device != "cpu":
        torch.cuda.set_device(device)
    dist.init_process_group(
        backend, init_method=f"file://{rendezvous}", rank=rank, world_size=size, timeout=_PATIENCE
    )
    return Ranks(rank, size, device)


def leave() -> None:
    """Leave the other processes, whatever state they are in."""
    with suppress(RuntimeError, ValueError):
        dist.destroy_process_group()
