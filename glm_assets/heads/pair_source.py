"""Batches of pairs on the training device, the next ones being prepared while this one trains.

Importing this module imports torch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from glm_assets.heads import memory
from glm_assets.heads.groups import ORIGINAL_GROUPS, GroupRule, lay_out_groups
from glm_assets.heads.losses import GroupTensors
from glm_assets.heads.pairs import Pairs, PairSet
from glm_assets.heads.sampler import Rows

Place = Literal["device", "memory", "store"]

AHEAD = 2
"""Batches that are ready or being made beside the one in use."""

_BLOCK_ROWS = 1024

_Job = TypeVar("_Job")
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class PairBatch:
    """Some pairs on the training device: vectors (n, dim) in float32, class (n,) as 1.0 or 0.0, groups.

    A step's mutation ladders, where it has any, are a batch of their own beside it.
    """

    ref: Tensor
    var: Tensor
    pathogenic: Tensor
    groups: GroupTensors
    ladders: PairBatch | None = None


@dataclass(frozen=True)
class _HostBatch:
    """What the host prepares of a batch: row numbers for vectors that are on the device, or the vectors."""

    vectors: Tensor
    pathogenic: Tensor
    groups: GroupTensors


class PairSource:
    """Pairs that batches are gathered from, wherever they are; that changes no number of a batch.

    They are on the device if they fit into half its free memory, else in the host's memory on the same condition, else
    they are read from the store batch by batch.

    Args:
        pairs: The pairs.
        device: Where batches go.
        rule: Which groups of a batch count.
        place: Where the pairs are to be; chosen by what fits if left out.
    """

    def __init__(
        self,
        pairs: Pairs,
        device: torch.device,
        rule: GroupRule = ORIGINAL_GROUPS,
        *,
        place: Place | None = None,
    ) -> None:
        self.pairs = pairs
        self.place = place or _choose_place(pairs, device)
        self._device = device
        self._rule = rule
        self._pin = device.type == "cuda"
        self._resident = _load(pairs, device) if self.place == "device" else None
        self._loaded = (
            _load(pairs, torch.device("cpu")) if self.place == "memory" and not _in_memory(pairs) else None
        )

    def batches(self, orders: Iterable[Rows]) -> Iterator[PairBatch]:
        """The pairs of each array of row numbers."""
        return map(self._to_device, prefetched(orders, self._prepare))

    def _prepare(self, rows: Rows) -> _HostBatch:
        layout = lay_out_groups(self.pairs.group[rows], self.pairs.var_len[rows], self._rule)
        pathogenic = torch.from_numpy(self.pairs.label[rows].astype(np.float32))
        return _HostBatch(
            self._pinned(self._vectors(rows)),
            self._pinned(pathogenic),
            GroupTensors.on_host(layout, pin=self._pin),
        )

    def _vectors(self, rows: Rows) -> Tensor:
        if self._resident is not None:
            return torch.from_numpy(rows)
        if self._loaded is not None:
            return self._loaded.index_select(0, torch.from_numpy(rows))
        return torch.from_numpy(self.pairs.read(rows))

    def _to_device(self, batch: _HostBatch) -> PairBatch:
        vectors = batch.vectors.to(self._device, non_blocking=True)
        if self._resident is not None:
            vectors = self._resident.index_select(0, vectors)
        ref, var = (vectors[:, part].to(torch.float32).contiguous() for part in (0, 1))
        var += ref  # was the difference
        pathogenic = batch.pathogenic.to(self._device, non_blocking=True)
        return PairBatch(ref, var, pathogenic, batch.groups.to(self._device))

    def _pinned(self, tensor: Tensor) -> Tensor:
        return tensor.pin_memory() if self._pin else tensor


def prefetched(jobs: Iterable[_Job], prepare: Callable[[_Job], _Made]) -> Iterator[_Made]:
    """What `prepare` makes of each job, in order, made by a thread at most `AHEAD` jobs ahead.

    Nothing is left running when the caller stops taking, and what goes wrong in the thread comes up here.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="pairs")
    waiting: deque[Future[_Made]] = deque()
    try:
        for job in jobs:
            waiting.append(thread.submit(prepare, job))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        thread.shutdown(cancel_futures=True)


def vector_bytes(pairs: Pairs) -> int:
    """Size of the pairs' vectors in their own type."""
    return 2 * len(pairs) * pairs.dim * pairs.dtype.itemsize


def _choose_place(pairs: Pairs, device: torch.device) -> Place:
    size = vector_bytes(pairs)
    if device.type == "cuda" and memory.fits(size, device):
        return "device"
    if _in_memory(pairs) or memory.fits(size, torch.device("cpu")):
        return "memory"
    return "store"


def _in_memory(pairs: Pairs) -> bool:
    return isinstance(pairs, PairSet)


def _load(pairs: Pairs, home: torch.device) -> Tensor:
    """All vectors (n, 2, dim) in their own type."""
    kind = torch.from_numpy(np.empty(0, pairs.dtype)).dtype
    whole = torch.empty((len(pairs), 2, pairs.dim), dtype=kind, device=home)
    blocks = [
        np.arange(start, min(start + _BLOCK_ROWS, len(pairs))) for start in range(0, len(pairs), _BLOCK_ROWS)
    ]
    for rows, vectors in zip(blocks, prefetched(blocks, pairs.read), strict=True):
        whole[rows[0] : rows[-1] + 1] = torch.from_numpy(vectors)
    return whole
