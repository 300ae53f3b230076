"""Bringing the plant language model up to date: training it, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from glm_assets.encoders.device import resolve_device
from glm_assets.errors import SettingsError
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.training_figures import plot_training
from glm_assets.storage.atomic import digest_of, write_json
from glm_assets.storage.products import Facts, Manifest, link_or_copy
from glm_assets.studies.plant.job import PlantJob
from glm_assets.studies.plant.study import VARIABLE, PlantStudy
from glm_assets.studies.plant.train import MODEL
from glm_assets.studies.training_runs import HISTORY, epochs_and_steps, require_gpus, run_training
from glm_assets.tracking import TrackedRun, Tracker
from glm_assets.tracking.parameters import flat

Progress = Callable[[str], None]

TARGET: Final = "glm_assets.studies.plant.train:train_part"


def make_lm(study: PlantStudy, tracker: Tracker, progress: Progress, *, dagster_run_id: str) -> Manifest:
    """Train the language model, and record it with the tracker.

    Args:
        study: The study.
        tracker: Where the training is recorded.
        progress: Called with a line now and then.
        dagster_run_id: Links the tracked run back to Dagster's.

    Raises:
        SettingsError: A split of a species has no window, or the model is to be sharded.
        TrainingError: There are too few GPUs, or the loss is no longer finite.
        MissingUpstreamError: A species' tokens are absent or out of date.
    """
    product = study.lm()

    def build(work: Path) -> Facts:
        tags = {"dagster/run_id": dagster_run_id, "dagster/asset_key": product.asset}
        with tracker.run(product.asset, tags=tags, resume_file=work / ".tracked_run.json") as run:
            run.log_inputs(product.inputs)
            return _train(study, product.input_digest, work, run, progress)

    return product.make(build)


def _train(study: PlantStudy, key: str, work: Path, run: TrackedRun, progress: Progress) -> Facts:
    values = study.values
    device = resolve_device(study.main.settings.device)
    require_gpus(values.training.processes, device, VARIABLE)
    _require_replicas(values.training.strategy)
    scratch = work / ".training"
    scratch.mkdir(exist_ok=True)
    job = PlantJob(
        # Batches of another size would be counted wrongly from a checkpoint within an epoch.
        key=digest_of([key, values.training.batch_size]),
        work=str(scratch),
        tokens={species: str(study.files("tokens", species)) for species in study.species},
        weights=study.sampling_weights,
        k=values.tokens.k,
        model=values.model.model_dump(mode="json"),
        training=values.training.model_dump(mode="json"),
        seed=values.seed,
        device=device,
        cpu_threads=study.main.settings.cpu_threads,
    )
    run.log_params(flat({"model": job.model, "training": job.training}) | {"k": job.k, "device": device})
    history, trained = run_training(TARGET, job, processes=values.training.processes, run=run, progress=progress)
    for file in (scratch / MODEL).iterdir():
        link_or_copy(file, work / file.name)
    write_json(work / HISTORY, history)
    return _finish(study, history, trained, work, run)


def _require_replicas(strategy: str) -> None:
    if strategy != "ddp":
        raise SettingsError(
            f"training.strategy is {strategy}, and every process of a plant language model keeps its memory whole",
            expected="ddp",
            fix=f"set training.strategy to ddp in {VARIABLE}",
        )


def _finish(
    study: PlantStudy, history: list[dict[str, Any]], trained: dict[str, Any], work: Path, run: TrackedRun
) -> Facts:
    """Draw and record what came of the training."""
    training = study.values.training
    best = max(history, key=lambda record: record["validation"]["score"])
    epochs, steps = epochs_and_steps(training)
    figure = plot_training(
        "plant language model",
        history,
        planned_epochs=epochs,
        score_name="validation loss",
        lower_is_better=True,
    )
    save_figure(figure, work / "training.png")
    found = {name: value for name, value in best["validation"].items() if name != "score"}
    pace = trained["tokens_per_second"]
    run.log_metrics({f"best/{name}": value for name, value in found.items()} | {"best/epoch": best["epoch"]})
    if pace is not None:
        run.log_metrics({"tokens_per_second": pace})
    run.log_artifact(work / "training.png", "figures")
    for file in sorted(work.glob("*.json")):
        run.log_artifact(file, "model")
    waits = run.settle()
    taken = steps * len(history)
    return {
        "species": list(study.species),
        "parameters": trained["parameters"],
        "steps": taken,
        "best_step": steps * best["epoch"],
        "stopped_early": len(history) < epochs,
        "tokens_seen": taken * training.items_in_a_step * study.values.model.context,
        "tokens_per_second": pace,
        "loss": found["loss"],
        "bits_per_base": found["bits_per_base"],
        "metrics": found,
        "mlflow_run_id": run.run_id,
        "mlflow_url": run.url,
        "mlflow_queued": waits,
    }
