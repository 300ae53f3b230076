"""Stratified cross-validation of the phenotype head, and the class that is commonest beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import TrainingError
from glm_assets.evaluation.classification import Classified

Fold = tuple[NDArray[np.integer], NDArray[np.integer]]
"""Places of the rows that are fitted to, and of those that are held out."""

Fit = Callable[[NDArray[np.integer], NDArray[np.integer]], NDArray[np.float64]]
"""Fits to rows and gives the probabilities (m, classes) of other rows."""


@dataclass(frozen=True)
class CrossValidated:
    """Every row, judged by the fold that held it out.

    Attributes:
        head: As the head sees them.
        majority: Each given the class that is commonest among the rows that its fold fitted to.
        fold: (n,) 0-based number of the fold that held each out.
    """

    head: Classified
    majority: Classified
    fold: NDArray[np.int64]

    @property
    def folds(self) -> int:
        """How many there are."""
        return int(self.fold.max()) + 1


def choose_folds(labels: NDArray[np.integer], names: tuple[str, ...], asked: int) -> int:
    """How many folds there can be: as many as asked for, and no more than the rarest class has rows.

    Args:
        labels: (n,) classes.
        names: Of the classes.
        asked: How many are wanted.

    Raises:
        TrainingError: There is one class only, or a class with one row: it cannot be fitted to and held out.
    """
    if len(names) < 2:
        only = ", ".join(names)
        raise TrainingError(
            f"all {len(labels)} samples have the phenotype {only!r}", expected="at least two phenotypes"
        )
    rows = np.bincount(labels, minlength=len(names))
    if rows.min() < 2:
        lonely = [names[number] for number in np.flatnonzero(rows < 2)]
        shown = ", ".join(lonely[:5]) + (", ..." if len(lonely) > 5 else "")
        raise TrainingError(
            f"{len(lonely)} of {len(names)} phenotypes have a single sample with genes ({shown})",
            expected="two of each at least: one to fit to and one to judge",
            fix="leave those samples out, join phenotypes, or bin a phenotype that is a number",
        )
    return min(asked, int(rows.min()))


def stratified_folds(labels: NDArray[np.integer], folds: int, seed: int) -> list[Fold]:
    """Folds in which each class has about the share that it has of all rows."""
    from sklearn.model_selection import StratifiedKFold

    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return list(splitter.split(np.zeros(len(labels)), labels))


def cross_validate(
    fit: Fit, labels: NDArray[np.integer], names: tuple[str, ...], folds: int, seed: int
) -> CrossValidated:
    """Fit and judge, fold by fold.

    Args:
        fit: Is given the places of the rows to fit to, and those to judge.
        labels: (n,) classes.
        names: Of the classes.
        folds: How many.
        seed: Of how the rows are dealt.
    """
    shape = (len(labels), len(names))
    head, majority = np.zeros(shape), np.zeros(shape)
    fold = np.zeros(len(labels), dtype=np.int64)
    for number, (train, held_out) in enumerate(stratified_folds(labels, folds, seed)):
        head[held_out] = fit(train, held_out)
        majority[held_out, np.bincount(labels[train]).argmax()] = 1
        fold[held_out] = number
    return CrossValidated(Classified(head, labels, names), Classified(majority, labels, names), fold)
