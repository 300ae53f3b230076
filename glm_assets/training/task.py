"""What a study implements to be trained by `fit`. Nothing here needs torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn


class Task(Protocol):
    """What is trained on what. Epochs count from 1."""

    @property
    def model(self) -> nn.Module:
        """What is trained, on its device."""
        ...

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """What AdamW moves: groups of `params`, each with the `weight_decay` it has or is spared."""
        ...

    def batches(self, epoch: int) -> Iterable[Any]:
        """The epoch's micro-batches, in an order drawn from torch's generator; a batch may be anything.

        Return `batches.Planned` ones wherever the order is known in advance: a training that goes on inside an epoch
        then skips what it has done without reading it, each of several processes reads its own share alone, and
        schedules know how many steps there are.
        """
        ...

    def loss(self, batch: Any, epoch: int) -> Mapping[str, Tensor | float]:
        """Scalars of a batch: `loss`, which is minimised, and the terms it is made of, all of them means.

        `weight` among them is no term: it says how many items (reads, tokens) the means are over, as a tensor or a
        number. A step's gradient is then that of the mean over all items of its micro-batches, and an epoch's figures
        are means over its items. Without it all micro-batches count alike.

        In several processes it calls `model` itself, not parts of it.
        """
        ...

    def after_epoch(self, rate: float, weight_decay: float, steps: int) -> None:
        """Called after an epoch's steps, before it is validated and kept, for what no step has to do."""
        ...

    def validate(self, epoch: int) -> dict[str, float]:
        """Figures of the model as it is now, `score` among them; larger scores are better.

        Each of several processes is asked, and the first one's answer counts: a task may judge its share of the rows
        (`Ranks.share`) and bring the answers together (`Ranks.gather`). Of a model that is sharded, all processes
        must judge all rows, because it answers only when all of them ask.
        """
        ...


@runtime_checkable
class KeepsPart(Protocol):
    """A task that has only a part of its model kept, such as adapters and a head without the model they sit on.

    `states.trainable_state(model)` and `states.load_part(model, state)` do what most such tasks need.
    """

    def state(self) -> Mapping[str, Tensor]:
        """What an epoch's file holds."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        ...


@runtime_checkable
class AfterStep(Protocol):
    """A task with state that no gradient moves, such as counts of what was read, and that follows each step.

    Buffers of its model are kept in checkpoints as its parameters are; other state is kept by `KeepsPart`.
    """

    def after_step(self, batches: Sequence[Any]) -> None:
        """Called after each step of the optimiser, before any checkpoint of it, in all processes in the same order.

        Args:
            batches: This process's micro-batches of the step; none where others took the rest. What the processes
                read differs, and what they keep must not: they bring it together by `Ranks.total`.
        """
        ...
