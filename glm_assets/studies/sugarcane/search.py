"""The search for better adapters and learning rates: trials of the study's training, shortened."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from glm_assets.errors import TrainingError
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.search_figures import plot_search
from glm_assets.storage.atomic import digest_of
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_sugarcane import SEARCH
from glm_assets.storage.tables import PART
from glm_assets.studies.sugarcane.configuration import ModelSettings, SugarcaneConfiguration, TrainingSettings
from glm_assets.studies.sugarcane.study import SugarcaneStudy
from glm_assets.studies.sugarcane.train import train_part
from glm_assets.studies.sugarcane.training import adapter_job
from glm_assets.tracking import TrackedRun, Tracker
from glm_assets.training.search import SearchResult, Trial, report_score, search

if TYPE_CHECKING:
    import optuna

    from glm_assets.training.checkpoints import EpochRecord

Progress = Callable[[str], None]

OWN: Final = "study"
"""Name of the study's own set of modules among the sets that are tried."""

_VALIDATIONS: Final = 4  # of a trial, so that a poor one can be given up


def make_search(
    study: SugarcaneStudy, variety: str, tracker: Tracker, progress: Progress, *, dagster_run_id: str
) -> Manifest:
    """Try other values on a variety's tokens; nothing is changed by what is found.

    The first trial has the study's own values, so the best is no worse than they are in as many steps.

    Args:
        study: The study.
        variety: Name of the variety.
        tracker: Where the trials are recorded.
        progress: Told the outcome of each trial.
        dagster_run_id: Links the tracked run back to Dagster's.

    Raises:
        MissingUpstreamError: The tokens are absent or out of date.
        EncoderError: The model needs FP8 and there is none, or its weights do not fit it.
    """
    product = study.search(variety)

    def build(work: Path) -> Facts:
        scratch = work / ".trials"
        scratch.mkdir(exist_ok=True)
        tags = {"dagster/run_id": dagster_run_id, "dagster/asset_key": product.asset, "variety": variety}
        with tracker.run(f"{product.asset}/{variety}", tags=tags, resume_file=work / ".tracked_run.json") as run:
            run.log_inputs(product.inputs)
            result = _search(study, variety, scratch, run, progress)
            table = _table(result, variety)
            SEARCH.write(table, work / PART)
            scored = table.select("trial", "state", score=-pl.col("loss"))
            save_figure(plot_search(scored, result.told_apart), work / "search.png")
            run.log_artifact(work / "search.png", "figures")
            waits = run.settle()
        return _facts(result) | {"mlflow_run_id": run.run_id, "mlflow_url": run.url, "mlflow_queued": waits}

    return product.make(build)


def vary(values: SugarcaneConfiguration, draw: optuna.trial.BaseTrial) -> tuple[ModelSettings, TrainingSettings]:
    """The study's model and training with values that a trial draws, at the length of a trial.

    Args:
        values: The study's, whose own values are among those that can be drawn.
        draw: An Optuna trial, or a fixed one.
    """
    settings, model, training = values.search, values.model, values.training
    low, high = settings.learning_rate
    own = training.learning_rate
    rate = draw.suggest_float("learning_rate", min(low, own), max(high, own), log=True)
    every = max(1, settings.steps // _VALIDATIONS)
    shorter: dict[str, Any] = {
        "learning_rate": rate,
        "min_learning_rate": min(training.min_learning_rate, rate),
        "steps": settings.steps,
        "validate_steps": every,
        "warmup_steps": min(training.warmup_steps, settings.steps // 4),
        "checkpoint_steps": None,
        "patience": None,
        "processes": 1,
        "accumulation": training.accumulation * training.processes,
    }
    if model.lora is not None:
        lora = model.lora
        rank = draw.suggest_categorical("rank", sorted({*settings.ranks, lora.rank}))
        scale = draw.suggest_categorical(
            "alpha_per_rank", sorted({*settings.alpha_per_rank, lora.alpha / lora.rank})
        )
        least, most = settings.dropout
        dropout = draw.suggest_float("dropout", min(least, lora.dropout), max(most, lora.dropout))
        name = draw.suggest_categorical("targets", [OWN, *settings.targets])
        targets = lora.targets if name == OWN else settings.targets[name]
        changed = {"rank": rank, "alpha": scale * rank, "dropout": dropout, "targets": targets}
        model = model.model_copy(update={"lora": lora.model_copy(update=changed)})
    return model, training.model_copy(update=shorter)


def own_values(values: SugarcaneConfiguration) -> dict[str, float | str]:
    """What a trial must draw to have the study's own values."""
    own: dict[str, float | str] = {"learning_rate": values.training.learning_rate}
    if lora := values.model.lora:
        own |= {
            "rank": lora.rank,
            "alpha_per_rank": lora.alpha / lora.rank,
            "dropout": lora.dropout,
            "targets": OWN,
        }
    return own


def _search(
    study: SugarcaneStudy, variety: str, scratch: Path, run: TrackedRun, progress: Progress
) -> SearchResult:
    def track(trial: Trial) -> None:
        if trial.score is not None:
            run.log_epoch(trial.number, {"loss": -trial.score, **trial.numbers})

    return search(
        lambda trial: _score(study, variety, trial, scratch),
        scratch,
        trials=study.values.search.trials,
        seed=study.values.seed,
        on_trial=track,
        progress=progress,
        first=own_values(study.values),
        warm_up=1,
    )


def _score(study: SugarcaneStudy, variety: str, trial: optuna.Trial, scratch: Path) -> float:
    """The smallest validation loss of a trial, with its sign changed."""
    import optuna

    from glm_assets.training.distributed import ALONE

    model, training = vary(study.values, trial)
    folder = scratch / f"trial_{trial.number}"
    scores: list[float] = []

    def report(record: EpochRecord) -> None:
        scores.append(record.score)
        report_score(trial, record.score, record.epoch)

    try:
        folder.mkdir(exist_ok=True)
        key = digest_of([model.model_dump(mode="json"), training.model_dump(mode="json")])
        job = adapter_job(study, variety, folder, key, model=model, training=training)
        train_part(job.as_dict(), ALONE, lambda _: None, report, judge_before=False)
    except TrainingError as error:  # its loss is no longer finite: as bad as a score can be
        raise optuna.TrialPruned from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return max(scores)


def _table(result: SearchResult, variety: str) -> pl.DataFrame:
    rows = []
    for trial in result.trials:
        drawn = dict(trial.values)
        scale, rank = drawn.pop("alpha_per_rank", None), drawn.get("rank")
        alpha = float(scale) * float(rank) if scale is not None and rank is not None else None
        loss = None if trial.score is None else -trial.score
        rows.append(
            {"variety": variety, "trial": trial.number, "state": trial.state, "loss": loss, "alpha": alpha} | drawn
        )
    frame = pl.DataFrame(rows, infer_schema_length=None)
    missing = [pl.lit(None).alias(name) for name in SEARCH.schema if name not in frame.columns]
    return frame.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in SEARCH.schema.items())


def _facts(result: SearchResult) -> Facts:
    best, first = result.best, result.trials[0]
    return {
        "rows": len(result.trials),
        "trials": len(result.trials),
        "pruned": sum(trial.state == "pruned" for trial in result.trials),
        "best_loss": -best.score if best and best.score is not None else None,
        "own_loss": -first.score if first.score is not None else None,
        "best": dict(best.values) if best else {},
        "importance": dict(result.told_apart),
    }
