"""The training loop: AdamW along a schedule, checkpoints by epoch and within, resumable after a kill.

Importing this module imports torch. What is trained on what is the `Task`'s; how is in `LoopSettings`. `launch` starts
several processes that train together.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from glm_assets.errors import TrainingError
from glm_assets.training.checkpoints import CheckpointFolder, EpochRecord, Position, Saved, ranked
from glm_assets.training.distributed import ALONE, Ranks
from glm_assets.training.parallel import Strategy
from glm_assets.training.passes import Pass
from glm_assets.training.seeding import restore_rng_state
from glm_assets.training.settings import LoopSettings
from glm_assets.training.states import load_task_state, task_state
from glm_assets.training.steps import Steps
from glm_assets.training.task import AfterStep, Task

_PROGRESS_SECONDS = 5.0


def fit(
    task: Task,
    settings: LoopSettings,
    checkpoints: CheckpointFolder,
    *,
    on_epoch: Callable[[EpochRecord], None],
    progress: Callable[[str], None],
    ranks: Ranks = ALONE,
    strategy: Strategy = "ddp",
) -> list[EpochRecord]:
    """Train to the last epoch, or to where scores grow no more, from wherever the checkpoint folder stands.

    Several processes call it alike, each with a task of its own that is equal to the others'; a step then takes a
    micro-batch of each, times the accumulation.

    Args:
        task: Model, batches, loss and validation.
        settings: Length, rates, clipping, accumulation, early stopping.
        checkpoints: Where each epoch is kept, the same folder for all processes.
        on_epoch: Called with every epoch in order, also with those done before this call, in the first process.
        progress: Told the newest figures every few seconds, in the first process.
        ranks: The processes that train together; this one alone by default.
        strategy: How several of them share the model: see `parallel`.

    Returns:
        All epochs, in order; fewer than the settings have if it stopped early. The model is that of the last epoch
        trained in this call: `states.load_weights(task, checkpoints.weights(ranked(history)[0].epoch))` makes it the
        best one.

    Raises:
        CheckpointError: The folder belongs to another training, or to one that as many processes must go on with as
            left it within an epoch.
        TrainingError: The loss or the score is no longer finite, or the batches do not go with the schedule or the
            processes.
    """
    if not ranks.is_first:
        on_epoch = progress = _ignore
    saved = checkpoints.read(ranks.size)
    history = saved.history if saved else []
    for record in history:
        on_epoch(record)
    if saved:
        progress(f"continuing after {_where(saved, settings)}")
    if not _is_over(history, settings):
        teller = _Teller(progress)
        steps = Steps(task, settings, ranks, strategy)
        training = _Training(steps, task, settings, checkpoints, ranks, teller)
        if saved:
            training.resume(saved)
        while not _is_over(history, settings):
            record = training.epoch(history, saved)
            saved = None
            on_epoch(record)
            teller.may(partial(_epoch_line, record, settings), always=_is_over(history, settings))
        if _stopped(history, settings):
            progress(_stop_line(history))
    if ranks.is_first:
        checkpoints.finish(history)
    return history


class _Teller:
    """Tells of progress every few seconds."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell = tell
        self._told = time.monotonic()

    def may(self, line: Callable[[], str], *, always: bool = False) -> None:
        """Tell if it is time; the line is made only then."""
        if always or time.monotonic() - self._told >= _PROGRESS_SECONDS:
            self.tell(line())
            self._told = time.monotonic()


class _Training:
    """A training that goes on, in one of its processes."""

    def __init__(
        self,
        steps: Steps,
        task: Task,
        settings: LoopSettings,
        checkpoints: CheckpointFolder,
        ranks: Ranks,
        teller: _Teller,
    ) -> None:
        self._steps, self._task, self._settings = steps, task, settings
        self._checkpoints, self._ranks, self._teller = checkpoints, ranks, teller

    def resume(self, saved: Saved) -> None:
        """Bring model, optimiser and random generators to where the training stands."""
        self._steps.load_state(saved.state)
        load_task_state(self._task, self._checkpoints.read_weights(saved))
        restore_rng_state(saved.rng)

    def epoch(self, history: list[EpochRecord], saved: Saved | None) -> EpochRecord:
        """Train an epoch, or the rest of it, and make it count."""
        epoch = len(history) + 1
        run = Pass(self._task, epoch, self._settings, self._ranks, saved)
        self._task.model.train()
        for group in run.steps():
            self._steps.take(group, epoch, run.rate, run.means)
            if isinstance(self._task, AfterStep):
                self._task.after_step([share.batch for share in group if share.counts])
            self._teller.may(partial(self._line, epoch, run))
            if run.wants_checkpoint():
                self._keep_part(history, epoch, run)
        self._task.after_epoch(run.rate, self._settings.weight_decay, run.taken)
        train = _finite(run.means.values(self._ranks), epoch)
        validation = _scored(self._ranks.first(self._task.validate(epoch)), epoch)
        record = EpochRecord(epoch, run.rate, train, validation, self._save(self._checkpoints.weights(epoch)))
        history.append(record)
        self._commit(history)
        return record

    def _keep_part(self, history: list[EpochRecord], epoch: int, run: Pass) -> None:
        _finite(run.means.values(self._ranks), epoch)
        self._commit(history, run.position(self._save(self._checkpoints.part_weights(epoch, run.taken))))
        self._ranks.part_generators()

    def _save(self, path: Path) -> str:
        """Have the first process write the weights; returns their digest."""
        state = task_state(self._task, keep=self._ranks.is_first)
        return self._ranks.first(self._checkpoints.save_weights(path, state) if self._ranks.is_first else "")

    def _commit(self, history: list[EpochRecord], position: Position | None = None) -> None:
        state = self._steps.state()
        if self._ranks.is_first:
            self._checkpoints.commit(history, state, position)

    def _line(self, epoch: int, run: Pass) -> str:
        loss = run.means.values()["loss"]
        return f"epoch {epoch}/{self._settings.epochs}: step {run.taken}, loss {loss:.4f}, rate {run.rate:.2g}"


def _is_over(history: list[EpochRecord], settings: LoopSettings) -> bool:
    return len(history) >= settings.epochs or _stopped(history, settings)


def _stopped(history: list[EpochRecord], settings: LoopSettings) -> bool:
    stopping = settings.early_stopping
    return stopping is not None and stopping.ends(record.score for record in history)


def _epoch_line(record: EpochRecord, settings: LoopSettings) -> str:
    return f"epoch {record.epoch}/{settings.epochs}: loss {record.train['loss']:.4f}, score {record.score:.4f}"


def _stop_line(history: list[EpochRecord]) -> str:
    best = ranked(history)[0]
    return (
        f"stopped early after epoch {len(history)}: none is better than epoch {best.epoch}, score {best.score:.4f}"
    )


def _where(saved: Saved, settings: LoopSettings) -> str:
    place = f"epoch {len(saved.history)} of {settings.epochs}"
    return f"step {saved.position.steps} of the epoch after {place}" if saved.position else place


def _ignore(_: Any) -> None:
    pass


def _finite(means: dict[str, float], epoch: int) -> dict[str, float]:
    if not all(map(math.isfinite, means.values())):
        raise TrainingError(
            f"training diverged in epoch {epoch}: {means}",
            expected="a finite loss",
            fix="look for extreme values in the data, lower the learning rate or use a larger batch_size",
        )
    return means


def _scored(validation: dict[str, float], epoch: int) -> dict[str, float]:
    if not math.isfinite(validation["score"]):
        raise TrainingError(
            f"the validation after epoch {epoch} has the score {validation['score']}",
            expected="a finite score, by which epochs are chosen",
            fix="look for validation data that the score does not exist for, or lower the learning rate",
        )
    return validation
