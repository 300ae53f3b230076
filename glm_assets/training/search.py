"""Searching a training's values with Optuna: pruned, and going on after a kill. optuna is imported when one starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

DATABASE = "trials.db"
_NAME = "recipe"
_SCORES_TO_PRUNE = 3


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
    values: Mapping[str, float | str]
    score: float | None
    state: str

    @property
    def numbers(self) -> dict[str, float]:
        """Those of the values that are numbers."""
        return {name: value for name, value in self.values.items() if not isinstance(value, str)}


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
    def told_apart(self) -> Mapping[str, float]:
        """The importance where more trials have a score than there are values, which a few cannot tell apart."""
        scored = [trial for trial in self.trials if trial.score is not None]
        return self.importance if scored and len(scored) > len(scored[0].values) else {}

    @property
    def best(self) -> Trial | None:
        """The trial with the best score, the first of equals; None when none was completed."""
        scored = [trial for trial in self.trials if trial.score is not None]
        return max(scored, key=lambda trial: trial.score or 0.0) if scored else None


def search(
    score: Callable[[optuna.Trial], float],
    work: Path,
    *,
    trials: int,
    seed: int,
    on_trial: Callable[[Trial], None],
    progress: Callable[[str], None],
    first: Mapping[str, float | str] | None = None,
    warm_up: int = 2,
) -> SearchResult:
    """Try values until `trials` are completed or pruned; those of an earlier, killed call count.

    A trial is given up when its score at an epoch is below the median of the others'. One that was killed is tried
    again from its start.

    Args:
        score: Draws a trial's values, reports its scores (`report_score`) and gives the best; the larger the better.
        work: Folder with the trials' database, kept between attempts.
        trials: How many are to end.
        seed: Of what is drawn.
        on_trial: Called with every trial that ended, in order, also with those of an earlier call.
        progress: Told the outcome of each.
        first: Values of the first trial; drawn as the others by default.
        warm_up: Epochs of a trial before it may be given up.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    work.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{work / DATABASE}",
        study_name=_NAME,
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_SCORES_TO_PRUNE, n_warmup_steps=warm_up),
    )
    if first and not study.get_trials(deepcopy=False):
        study.enqueue_trial(dict(first))
    _repeat_killed(study)
    for trial in _ended(study):
        on_trial(trial)
    while (done := len(_ended(study))) < trials:
        # Seeded by how many are done, so that a search that goes on draws what an unbroken one would.
        study.sampler = optuna.samplers.TPESampler(seed=seed + done)
        study.optimize(score, n_trials=1)
        trial = _ended(study)[-1]
        on_trial(trial)
        outcome = trial.state if trial.score is None else f"score {trial.score:.4f}"
        progress(f"trial {done + 1} of {trials}: {outcome}")
    return SearchResult(tuple(_ended(study)), _importance(study, seed))


def report_score(trial: optuna.Trial, score: float, epoch: int) -> None:
    """Hand an epoch's score on.

    Raises:
        optuna.TrialPruned: The trial is not worth going on with.
    """
    import optuna

    trial.report(score, epoch)
    if trial.should_prune():
        raise optuna.TrialPruned


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

    if len({trial.score for trial in _ended(study) if trial.score is not None}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)
