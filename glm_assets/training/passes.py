"""One pass over an epoch's batches, from its start or from where a killed training left it.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any

from glm_assets.errors import TrainingError
from glm_assets.training.batches import Share, groups, shares
from glm_assets.training.checkpoints import Position, Saved
from glm_assets.training.distributed import Ranks
from glm_assets.training.means import Means
from glm_assets.training.seeding import restore_rng_state, rng_state
from glm_assets.training.settings import LoopSettings
from glm_assets.training.task import Task


class Pass:
    """The steps of an epoch.

    All processes draw the same batches, from generators that are equal; while they train, their generators differ, so
    that dropout does. A pass that goes on draws its batches again and leaves out those that are done.

    Args:
        task: Draws the batches.
        epoch: Counted from 1.
        settings: Accumulation and schedule.
        ranks: The processes that train together.
        saved: Where the training stands, if it is within this epoch.

    Raises:
        TrainingError: The batches do not go with the schedule or the processes, or there are none.

    Attributes:
        taken: Steps so far.
        rate: Learning rate of the newest step.
        means: Of the scalars so far.
    """

    def __init__(
        self, task: Task, epoch: int, settings: LoopSettings, ranks: Ranks, saved: Saved | None = None
    ) -> None:
        self._epoch, self._settings, self._ranks = epoch, settings, ranks
        position = saved.position if saved else None
        if position:
            restore_rng_state(position.rng)
        else:
            ranks.align_generators()
        self._before_batches = rng_state()
        batches = task.batches(epoch)
        self._steps = _step_count(batches, settings, ranks)
        self._done = position.batches if position else 0
        self.taken = position.steps if position else 0
        self.rate = position.learning_rate if position else 0.0
        self.means = Means.of_first(position.totals, position.weight, ranks) if position else Means()
        self._own = shares(batches, ranks, self._done)
        if saved and position:
            restore_rng_state(saved.rng)
        ranks.part_generators()

    def steps(self) -> Iterator[Sequence[Share]]:
        """This process's micro-batches of every step that is left."""
        for group in groups(self._own, self._settings.accumulation):
            self.taken += 1
            self._done += len(group) * self._ranks.size
            self.rate = self._settings.learning_rate_at(self._epoch, self.taken, self._steps)
            yield group
        if not self.taken:
            raise TrainingError(f"epoch {self._epoch} has no batches", fix="give the training more data")

    def wants_checkpoint(self) -> bool:
        """Whether the steps so far are to be kept now."""
        every = self._settings.checkpoint_every_steps
        return every is not None and self.taken % every == 0

    def position(self, sha256: str) -> Position:
        """Where it stands, weights of this digest having been written; all processes must ask."""
        self.means = self.means.merged(self._ranks)
        means = self.means
        return Position(
            self._epoch,
            self._done,
            self.taken,
            self.rate,
            means.totals,
            means.weight,
            self._before_batches,
            self._ranks.size,
            sha256,
        )


def _step_count(batches: Iterable[Any], settings: LoopSettings, ranks: Ranks) -> int:
    """Steps of the optimiser in the epoch; 1 where nobody needs to know."""
    if settings.schedule.by_epoch:
        return 1
    if not isinstance(batches, Sized):
        raise TrainingError(
            f"schedule {settings.schedule.shape} cannot count the steps of {type(batches).__name__}",
            expected="batches with a length",
            fix="return glm_assets.training.batches.Planned from the task's batches()",
        )
    steps = settings.steps_of(-(-len(batches) // ranks.size))
    settings.schedule.require_room(settings.epochs * steps)
    return steps
