"""Searching a recipe's values with Optuna, judged on the validation split.

optuna and torch are imported when a search starts.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from glm_assets.errors import TrainingError
from glm_assets.heads.data import HeadData
from glm_assets.heads.recipes import HeadRecipe
from glm_assets.heads.train import train_head
from glm_assets.tracking.protocol import NullRun
from glm_assets.training.search import SearchResult, Trial, report_score, search

if TYPE_CHECKING:
    import optuna

_HIDDEN_SHARES = (0.5, 1.0, 1.5)


def search_recipe(
    recipe: HeadRecipe,
    data: HeadData,
    teacher: Path | None,
    work: Path,
    *,
    trials: int,
    device: str,
    on_trial: Callable[[Trial], None],
    progress: Callable[[str], None],
) -> SearchResult:
    """Try values of a recipe until `trials` are completed or pruned; those of an earlier, killed call count.

    A trial is given up when its score at an epoch is below the median of the others', or its loss diverges. One that
    was killed is tried again from its start.

    Args:
        recipe: What is varied; its architecture, phases and output width stay.
        data: Training and validation pairs.
        teacher: As for `train_head`.
        work: Folder with the trials' database, kept between attempts.
        trials: How many are to end.
        device: `cpu` or `cuda:N`.
        on_trial: Called with every trial that ended, in order, also with those of an earlier call.
        progress: Told the outcome of each.

    Raises:
        GlmError: A training is impossible, as `train_head` says.
    """
    return search(
        lambda trial: _score(trial, recipe, data, teacher, work, device),
        work,
        trials=trials,
        seed=recipe.seed,
        on_trial=on_trial,
        progress=progress,
    )


def vary(recipe: HeadRecipe, draw: optuna.trial.BaseTrial) -> HeadRecipe:
    """The recipe with values that a trial draws.

    Learning rate, weight decay and dropout always; the hidden width unless tensors of the teacher are taken over;
    the weights of the loss terms that the recipe has beside the contrast of the classes.

    Args:
        recipe: The starting point.
        draw: An Optuna trial, or a fixed one.
    """
    changed = replace(
        recipe,
        learning_rate=draw.suggest_float("learning_rate", 1e-5, 1e-2, log=True),
        weight_decay=draw.suggest_float("weight_decay", 1e-5, 1e-1, log=True),
        dropout=draw.suggest_float("dropout", 0.0, 0.4),
    )
    if not recipe.warm_start:
        share = draw.suggest_categorical("hidden_share", _HIDDEN_SHARES)
        hidden = max(1, round(recipe.shape.hidden * float(share)))
        changed = replace(changed, shape=replace(recipe.shape, hidden=hidden))
    phases = changed.phases
    for term in ("pcc", "cd_floor"):
        if any(getattr(phase, term) for phase in phases):
            factor = draw.suggest_float(f"{term}_factor", 0.1, 10.0, log=True)
            phases = tuple(replace(phase, **{term: factor * getattr(phase, term)}) for phase in phases)
    return replace(changed, phases=phases)


class _PrunedRun(NullRun):
    """Reports each epoch's score to a trial, which may end there."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Hand the score on.

        Raises:
            optuna.TrialPruned: The trial is not worth going on with.
        """
        report_score(self._trial, metrics["val/score"], epoch)


def _score(
    trial: optuna.Trial, recipe: HeadRecipe, data: HeadData, teacher: Path | None, work: Path, device: str
) -> float:
    import optuna

    scratch = work / f"trial_{trial.number}"
    try:
        result = train_head(
            vary(recipe, trial),
            data,
            teacher,
            scratch,
            scratch / "head",
            device=device,
            run=_PrunedRun(trial),
            progress=lambda _: None,
        )
    except TrainingError as error:  # its loss is no longer finite: as bad as a score can be
        raise optuna.TrialPruned from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return max(epoch["validation"]["score"] for epoch in result.history)
