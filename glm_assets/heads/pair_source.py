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
from glm_assets.heads.pairs import Pairs, PairSet, read_pairs
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

    They are on the device if they fit into half its free memory. Otherwise batches are read from the host's memory, or
    from the store's files; if those fit into half of the host's free memory, the kernel is asked to read them ahead.

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
        self._on_gpu = device.type == "cuda"
        self._resident = _load(pairs, device) if self.place == "device" else None
        self._host = _Buffers(AHEAD + 2)
        self._vectors = (_Buffers(1), _Buffers(1))
        if self.place == "memory":
            pairs.expect_use()

    def batches(self, orders: Iterable[Rows]) -> Iterator[PairBatch]:
        """The pairs of each array of row numbers, in memory of their own."""
        fresh = (_Buffers(0), _Buffers(0))
        return (self._to_device(batch, fresh) for batch in prefetched(orders, self._prepare))

    def stream(self, orders: Iterable[Rows]) -> Iterator[PairBatch]:
        """The same; on a CPU a batch's vectors are overwritten when the next one is asked for."""
        return (self._to_device(batch, self._vectors) for batch in prefetched(orders, self._prepare))

    def _prepare(self, rows: Rows) -> _HostBatch:
        layout = lay_out_groups(self.pairs.group[rows], self.pairs.var_len[rows], self._rule)
        pathogenic = torch.from_numpy(self.pairs.label[rows].astype(np.float32))
        groups = GroupTensors.on_host(layout, pin=self._on_gpu)
        return _HostBatch(self._gather(rows), self._pinned(pathogenic), groups)

    def _gather(self, rows: Rows) -> Tensor:
        if self._resident is not None:
            return self._pinned(torch.from_numpy(rows))
        shape, kind = (len(rows), 2, self.pairs.dim), _torch_type(self.pairs.dtype)
        # A copy to a GPU may still be under way when the next batch is read.
        out = torch.empty(shape, dtype=kind, pin_memory=True) if self._on_gpu else self._host.next(shape, kind)
        self.pairs.read_into(out.numpy(), rows)
        return out

    def _to_device(self, batch: _HostBatch, buffers: tuple[_Buffers, _Buffers]) -> PairBatch:
        vectors = batch.vectors.to(self._device, non_blocking=True)
        if self._resident is not None:
            vectors = self._resident.index_select(0, vectors)
        shape = (len(vectors), self.pairs.dim)
        if self._on_gpu:
            ref, var = (vectors[:, part].to(torch.float32).contiguous() for part in (0, 1))
        else:
            ref, var = (
                part.next(shape, torch.float32).copy_(vectors[:, number]) for number, part in enumerate(buffers)
            )
        var += ref  # was the difference
        pathogenic = batch.pathogenic.to(self._device, non_blocking=True)
        return PairBatch(ref, var, pathogenic, batch.groups.to(self._device))

    def _pinned(self, tensor: Tensor) -> Tensor:
        return tensor.pin_memory() if self._on_gpu else tensor


class _Buffers:
    """Host tensors that are handed out in turn: to fill fresh memory takes four times as long.

    Args:
        count: How many are in use at once; 0 hands out fresh ones.
    """

    def __init__(self, count: int) -> None:
        self._tensors: list[Tensor | None] = [None] * count
        self._turn = 0

    def next(self, shape: tuple[int, ...], kind: torch.dtype) -> Tensor:
        """A tensor of that shape, whatever it holds; only its length may differ from one call to the next."""
        if not self._tensors:
            return torch.empty(shape, dtype=kind)
        self._turn = (self._turn + 1) % len(self._tensors)
        known = self._tensors[self._turn]
        if known is None or len(known) < shape[0]:
            known = self._tensors[self._turn] = torch.empty(shape, dtype=kind)
        return known[: shape[0]]


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
    if isinstance(pairs, PairSet) or memory.fits(size, torch.device("cpu")):
        return "memory"
    return "store"


def _torch_type(dtype: np.dtype[np.floating]) -> torch.dtype:
    """The same type in torch."""
    return torch.from_numpy(np.empty(0, dtype)).dtype


def _load(pairs: Pairs, home: torch.device) -> Tensor:
    """All vectors (n, 2, dim) in their own type."""
    whole = torch.empty((len(pairs), 2, pairs.dim), dtype=_torch_type(pairs.dtype), device=home)
    blocks = [
        np.arange(start, min(start + _BLOCK_ROWS, len(pairs))) for start in range(0, len(pairs), _BLOCK_ROWS)
    ]
    for rows, vectors in zip(blocks, prefetched(blocks, lambda at: read_pairs(pairs, at)), strict=True):
        whole[rows[0] : rows[-1] + 1] = torch.from_numpy(vectors)
    return whole
