"""The search for better values of a head's recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl

from glm_assets.encoders.device import prepare_device, resolve_device
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.search_figures import plot_search
from glm_assets.heads.recipes import HeadRecipe
from glm_assets.heads.search import search_recipe
from glm_assets.lineage.head_data import read_head_data
from glm_assets.lineage.recipes import head_recipe
from glm_assets.lineage.study import Study
from glm_assets.storage.products import Facts, Manifest, Product
from glm_assets.storage.schemas import HEAD_SEARCH
from glm_assets.storage.tables import PART
from glm_assets.tracking import TrackedRun, Tracker
from glm_assets.training.search import SearchResult, Trial


def head_search_product(study: Study) -> Product:
    """The search of the profile's head."""
    name = f"head_{study.profile.search.head}"
    head = study.head(name)
    recipe = dict(head.recipe) | {"search": study.profile.search.model_dump()}
    return study.table("head_search", head.inputs, recipe)


def make_head_search(
    study: Study, tracker: Tracker, progress: Callable[[str], None], *, dagster_run_id: str
) -> Manifest:
    """Search the profile's head for better values; nothing is changed by what is found.

    Args:
        study: The main study.
        tracker: Where the trials are recorded.
        progress: Told the outcome of each trial.
        dagster_run_id: Links the tracked run back to Dagster's.
    """
    product = head_search_product(study)

    def build(work: Path) -> Facts:
        scratch = work / ".trials"
        scratch.mkdir(exist_ok=True)
        prepare_device(resolve_device(study.settings.device), study.settings.cpu_threads)
        tags = {"dagster/run_id": dagster_run_id, "dagster/asset_key": product.asset}
        with tracker.run(product.asset, tags=tags, resume_file=scratch / "tracked_run.json") as run:
            run.log_inputs(product.inputs)
            result = _search(study, _recipe(study), scratch, run, progress)
            table = _table(result)
            HEAD_SEARCH.write(table, work / PART)
            figure = plot_search(table.unique("trial", maintain_order=True), result.importance)
            save_figure(figure, work / "search.png")
            run.log_artifact(work / "search.png", "figures")
            waits = run.settle()
        best = result.best
        return {
            "rows": table.height,
            "trials": len(result.trials),
            "pruned": sum(trial.state == "pruned" for trial in result.trials),
            "best_score": best.score if best else None,
            "best": dict(best.values) if best else {},
            "importance": dict(result.importance),
            "mlflow_run_id": run.run_id,
            "mlflow_url": run.url,
            "mlflow_queued": waits,
        }

    return product.make(build)


def _recipe(study: Study) -> HeadRecipe:
    """The profile's recipe at the length of a trial."""
    search = study.profile.search
    recipe = head_recipe(study.profile, f"head_{search.head}", study.encoder_spec.dimension)
    return recipe.scaled(epochs=search.epochs)


def _search(
    study: Study, recipe: HeadRecipe, scratch: Path, run: TrackedRun, progress: Callable[[str], None]
) -> SearchResult:
    def track(trial: Trial) -> None:
        if trial.score is not None:
            run.log_epoch(trial.number, {"score": trial.score, **trial.numbers})

    return search_recipe(
        replace(recipe, keep=1),
        read_head_data(study, list(study.profile.chromosomes)),
        study.files(study.head_folder(f"head_{recipe.teacher}")) if recipe.teacher else None,
        scratch,
        trials=study.profile.search.trials,
        device=resolve_device(study.settings.device),
        on_trial=track,
        progress=progress,
    )


def _table(result: SearchResult) -> pl.DataFrame:
    rows = [
        {"trial": trial.number, "state": trial.state, "score": trial.score, "name": name, "value": float(value)}
        for trial in result.trials
        for name, value in trial.numbers.items()
    ]
    return pl.DataFrame(rows, schema=HEAD_SEARCH.schema)
