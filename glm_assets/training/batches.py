"""Batches that can be read alone, and which of them a process takes. Nothing here needs torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from glm_assets.errors import TrainingError

if TYPE_CHECKING:
    from glm_assets.training.distributed import Ranks

_Item = TypeVar("_Item")


class Planned(Iterable[_Item]):
    """Batches that are decided before they are read, so that some of them can be read alone.

    Args:
        plan: What identifies each batch, in order, such as its rows; drawing it draws all that is random in the order.
        read: Makes a batch of an element of the plan.
    """

    def __init__(self, plan: Sequence[Any], read: Callable[[Any], _Item]) -> None:
        self._plan = plan
        self._read = read

    def __len__(self) -> int:
        """Batches in the plan."""
        return len(self._plan)

    def __iter__(self) -> Iterator[_Item]:
        """All batches in order."""
        return map(self._read, self._plan)

    def __getitem__(self, position: int) -> _Item:
        """The batch at a position, read now."""
        return self._read(self._plan[position])


@dataclass(frozen=True)
class Share:
    """A micro-batch of a process.

    Attributes:
        batch: What the task planned.
        counts: False for one that the process takes only to keep step with the others, since they are more than what
            is left; it must leave no trace.
    """

    batch: Any
    counts: bool = True


def shares(batches: Iterable[Any], ranks: Ranks, done: int) -> Iterator[Share]:
    """This process's micro-batches: of every round of as many as there are processes, the one of its number.

    Args:
        batches: The epoch's micro-batches, the same ones in the same order in all processes.
        ranks: The processes.
        done: Micro-batches at the epoch's start that have been trained on before, by all processes together. `Planned`
            ones are not read; others are, before this returns.

    Raises:
        TrainingError: Several processes are to share batches that are not `Planned`.
    """
    if isinstance(batches, Planned):
        return _planned(batches, ranks, done)
    if ranks.size > 1:
        raise TrainingError(
            f"{ranks.size} processes cannot share {type(batches).__name__} of batches",
            expected="batches that are known before they are read",
            fix="return glm_assets.training.batches.Planned from the task's batches()",
        )
    rest = iter(batches)
    for _ in islice(rest, done):
        pass
    return map(Share, rest)


def groups(items: Iterable[_Item], size: int) -> Iterator[Sequence[_Item]]:
    """Items in groups of `size`, the last of which may be smaller; none is taken before it is needed."""
    rest = iter(items)
    while group := list(islice(rest, size)):
        yield group


def _planned(batches: Planned[Any], ranks: Ranks, done: int) -> Iterator[Share]:
    for start in range(done, len(batches), ranks.size):
        counts = start + ranks.rank < len(batches)
        yield Share(batches[start + ranks.rank if counts else start], counts)
