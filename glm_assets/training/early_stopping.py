"""When a training that no longer gets better ends. Nothing here needs torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from glm_assets.errors import SettingsError


@dataclass(frozen=True)
class EarlyStopping:
    """Ends a training after some epochs without a better score.

    It is a function of the scores alone, so that a training which goes on after a kill stops where it would have.

    Attributes:
        patience: Epochs in a row that may be no better than the best before them.
        min_epochs: Epochs that are trained in any case.
        min_delta: By how much a score must exceed the best to be better.
    """

    patience: int
    min_epochs: int = 0
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what would stop nothing, or everything.

        Raises:
            SettingsError: A patience below 1, or a negative number.
        """
        if self.patience < 1 or self.min_epochs < 0 or self.min_delta < 0:
            raise SettingsError(f"{self} cannot be", expected="a patience of 1 or more, and no negative numbers")

    def ends(self, scores: Iterable[float]) -> bool:
        """Whether a training with these scores, in order of epoch, is over."""
        best, epochs, since = float("-inf"), 0, 0
        for score in scores:
            better = score > best + self.min_delta
            best, since, epochs = (score if better else best), (0 if better else since + 1), epochs + 1
        return since >= self.patience and epochs >= self.min_epochs
