"""A small task for the loop, as several processes can make it alike, and what trains it in one of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glm_assets.errors import TrainingError
from glm_assets.training.batches import Planned
from glm_assets.training.checkpoints import CheckpointFolder, EpochRecord
from glm_assets.training.distributed import Ranks
from glm_assets.training.loop import fit
from glm_assets.training.schedules import Schedule
from glm_assets.training.settings import LoopSettings
from glm_assets.training.states import load_part, trainable_state, whole


class Block(nn.Module):
    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.dropout(torch.tanh(self.linear(x)))


class Network(nn.Module):
    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(dropout) for _ in range(2))
        self.head = nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class RowsTask:
    """Regression of rows whose loss is a mean over a batch, which its `weight` says the size of.

    Args:
        size: Rows of a micro-batch.
        rows: All rows.
        dropout: Share of the values that training drops.
        seed: Orders the rows; None for torch's generator, as tasks should.
    """

    def __init__(self, *, size: int = 2, rows: int = 22, dropout: float = 0.0, seed: int | None = None) -> None:
        generator = torch.Generator().manual_seed(5)
        self.x = torch.randn(rows, 6, generator=generator)
        self.y = self.x.square().sum(1, keepdim=True).sin()
        self.size, self.seed = size, seed
        self.read: list[list[int]] = []
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.model = Network(dropout)

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        moving = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        return [
            {"params": [parameter for parameter in moving if parameter.ndim > 1], "weight_decay": weight_decay},
            {"params": [parameter for parameter in moving if parameter.ndim <= 1], "weight_decay": 0.0},
        ]

    def batches(self, epoch: int) -> Iterable[Tensor]:
        return Planned(self.order(epoch).split(self.size), self._read)

    def order(self, epoch: int) -> Tensor:
        generator = None if self.seed is None else torch.Generator().manual_seed(self.seed + epoch)
        return torch.randperm(len(self.x), generator=generator)

    def _read(self, rows: Tensor) -> Tensor:
        self.read.append(rows.tolist())
        return rows

    def loss(self, batch: Tensor, epoch: int) -> dict[str, Any]:
        error = (self.model(self.x[batch]) - self.y[batch]).square().mean()
        return {"loss": error, "root": error.sqrt(), "weight": len(batch)}

    def after_epoch(self, rate: float, weight_decay: float, steps: int) -> None:
        pass

    def validate(self, epoch: int) -> dict[str, float]:
        self.model.eval()
        with torch.no_grad():
            return {"score": -float((self.model(self.x) - self.y).square().mean())}


class AdapterTask(RowsTask):
    """Trains the head on top of blocks that stay as they are, and has the head alone kept."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.model.blocks.requires_grad_(False)

    def state(self) -> Mapping[str, Tensor]:
        return trainable_state(self.model)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        load_part(self.model, state)


class StreamTask(RowsTask):
    """Its batches are not known before they are read."""

    def batches(self, epoch: int) -> Iterator[Tensor]:
        for rows in self.order(epoch).split(self.size):
            yield self._read(rows)


class Interrupted(Exception):
    pass


def stop_at_step(count: int, act: Callable[[], None]) -> None:
    """Act instead of the optimiser's step of a number."""
    step, taken = torch.optim.AdamW.step, []

    def stopping(self, *args, **kwargs):
        if len(taken) == count:
            act()
        taken.append(1)
        return step(self, *args, **kwargs)

    torch.optim.AdamW.step = stopping


def fit_alone(
    task: RowsTask, settings: LoopSettings, folder: Path, keep: int | None = None, lines: list[str] | None = None
) -> list[EpochRecord]:
    """Train in this process, from random numbers that are always the same."""
    torch.manual_seed(11)
    return fit(
        task,
        settings,
        CheckpointFolder(folder, key="k", keep=keep),
        on_epoch=lambda record: None,
        progress=(lines if lines is not None else []).append,
    )


def settings_of(job: Mapping[str, Any]) -> LoopSettings:
    options = dict(job.get("settings", {}))
    schedule = Schedule(**options.pop("schedule", {"shape": "linear", "warmup_steps": 2}))
    return LoopSettings(**{"epochs": 3, "learning_rate": 0.05, "schedule": schedule} | options)


def train(job: Mapping[str, Any], ranks: Ranks, progress: Callable[[str], None]) -> dict[str, Any]:
    """Train as one of several processes; `kill` names a rank and the steps after which it ends."""
    kill = job.get("kill")
    if kill and kill["rank"] == ranks.rank:
        stop_at_step(kill["steps"], lambda: os.kill(os.getpid(), signal.SIGKILL))
    torch.manual_seed(11 + ranks.rank)
    kind = {"whole": RowsTask, "adapter": AdapterTask}[job.get("task", "whole")]
    task = kind(**job.get("options", {}))
    for value in trainable_state(task.model).values():  # what another process draws at its start must not matter
        value.add_(ranks.rank)
    history = fit(
        task,
        settings_of(job),
        CheckpointFolder(Path(job["folder"]), key="k"),
        on_epoch=lambda record: None,
        progress=progress,
        ranks=ranks,
        strategy=job.get("strategy", "ddp"),
    )
    own = torch.cat([whole(value).flatten() for value in task.model.state_dict().values()])
    others = ranks.gather(own.numpy()[None])
    return {
        "losses": [record.train["loss"] for record in history],
        "roots": [record.train["root"] for record in history],
        "scores": [record.score for record in history],
        "rates": [record.learning_rate for record in history],
        "parameters": others.tolist(),
        "read": len(task.read),
    }


def report(job: Mapping[str, Any], ranks: Ranks, progress: Callable[[str], None]) -> Any:
    """What `Ranks` answers in several processes."""
    import numpy as np

    rows = np.arange(7) * 10
    progress(f"rank {ranks.rank} of {ranks.size}")
    return {
        "total": ranks.total(torch.tensor(ranks.rank)).item(),
        "gathered": ranks.gather(rows[ranks.share(7)]).tolist(),
        "pairs": ranks.gather(np.ones((ranks.rank, 2), np.float32)).shape,
        "first": ranks.first({"rank": ranks.rank}),
    }


def fail(job: Mapping[str, Any], ranks: Ranks, progress: Callable[[str], None]) -> None:
    """The last process fails in the way the job says; the others wait for it."""
    Path(job["folder"], f"{ranks.rank}.pid").write_text(str(os.getpid()))
    ranks.barrier()
    if ranks.rank == ranks.size - 1:
        if job["how"] == "error":
            raise TrainingError("the reads have run out", fix="get more")
        if job["how"] == "bug":
            raise KeyError("no such thing")
        os.kill(os.getpid(), signal.SIGKILL)
    if job["how"] == "sleep":
        time.sleep(600)
    if job["how"] == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ranks.barrier()
