"""Searching a recipe's values with Optuna: judged on the validation split, pruned, and going on after a kill.

optuna and torch are imported when a search starts.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from glm_assets.errors import TrainingError
from glm_assets.heads.data import HeadData
from glm_assets.heads.recipes import HeadRecipe
from glm_assets.heads.train import train_head
from glm_assets.tracking.protocol import NullRun

if TYPE_CHECKING:
    import optuna

DATABASE = "trials.db"
_NAME = "recipe"
_WARM_UP_EPOCHS = 2
_HIDDEN_SHARES = (0.5, 1.0, 1.5)


@dataclass(frozen=True)
class Trial:
    """One set of values that was tried.

    Attributes:
        number: From 0, in the order in which they were tried; one that was killed and tried again counts once.
        values: What was drawn, by name.
        score: Best validation score of its epochs; None when it was given up.
        state: `complete` or `pruned`.
    """

    number: int
    values: Mapping[str, float]
    score: float | None
    state: str


@dataclass(frozen=True)
class SearchResult:
    """The outcome of a search.

    Attributes:
        trials: All that have ended, in order.
        importance: Share of the scores' variance that each value explains, largest first; empty with fewer than two
            scores or when all are equal.
    """

    trials: tuple[Trial, ...]
    importance: Mapping[str, float]

    @property
    def best(self) -> Trial | None:
        """The trial with the best score, the first of equals; None when none was completed."""
        scored = [trial for trial in self.trials if trial.score is not None]
        return max(scored, key=lambda trial: trial.score or 0.0) if scored else None


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
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    work.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{work / DATABASE}",
        study_name=_NAME,
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=_WARM_UP_EPOCHS),
    )
    _repeat_killed(study)
    for trial in _ended(study):
        on_trial(trial)
    while (done := len(_ended(study))) < trials:
        # Seeded by how many are done, so that a search that goes on draws what an unbroken one would.
        study.sampler = optuna.samplers.TPESampler(seed=recipe.seed + done)
        study.optimize(lambda trial: _score(trial, recipe, data, teacher, work, device), n_trials=1)
        trial = _ended(study)[-1]
        on_trial(trial)
        outcome = trial.state if trial.score is None else f"score {trial.score:.4f}"
        progress(f"trial {done + 1} of {trials}: {outcome}")
    return SearchResult(tuple(_ended(study)), _importance(study, recipe.seed))


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
        import optuna

        self._trial.report(metrics["val/score"], epoch)
        if self._trial.should_prune():
            raise optuna.TrialPruned


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


def _repeat_killed(study: optuna.Study) -> None:
    """End the trials that a killed process left running, and put their values first in the queue."""
    import optuna

    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(trial.params)


def _ended(study: optuna.Study) -> list[Trial]:
    import optuna

    states = {optuna.trial.TrialState.COMPLETE: "complete", optuna.trial.TrialState.PRUNED: "pruned"}
    found = study.get_trials(deepcopy=False, states=tuple(states))
    return [
        Trial(
            number,
            dict(trial.params),
            trial.value if states[trial.state] == "complete" else None,
            states[trial.state],
        )
        for number, trial in enumerate(found)
    ]


def _importance(study: optuna.Study, seed: int) -> dict[str, float]:
    import optuna

    values = {trial.score for trial in _ended(study) if trial.score is not None}
    if len(values) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)
