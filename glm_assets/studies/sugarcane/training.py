"""Bringing a variety's adapter up to date: training, what came of it, and its record with the tracker."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from glm_assets.encoders.device import resolve_device
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.training_figures import plot_training
from glm_assets.language.evo2 import uses_fp8
from glm_assets.storage.atomic import digest_of, write_json
from glm_assets.storage.products import Facts, Manifest, link_or_copy
from glm_assets.studies.sugarcane.configuration import ModelSettings, TrainingSettings
from glm_assets.studies.sugarcane.job import AdapterJob
from glm_assets.studies.sugarcane.study import VARIABLE, SugarcaneStudy
from glm_assets.studies.sugarcane.train import ADAPTER
from glm_assets.studies.training_runs import (
    HISTORY,
    Progress,
    epochs_and_steps,
    require_gpus,
    run_training,
    without_folders,
)
from glm_assets.tracking import TrackedRun, Tracker
from glm_assets.tracking.parameters import flat

TARGET: Final = "glm_assets.studies.sugarcane.train:train_part"


def make_lora_adapter(
    study: SugarcaneStudy, variety: str, tracker: Tracker, progress: Progress, *, dagster_run_id: str
) -> Manifest:
    """Train on a variety's tokens, and record it with the tracker.

    Args:
        study: The study.
        variety: Name of the variety.
        tracker: Where the training is recorded.
        progress: Called with a line now and then.
        dagster_run_id: Links the tracked run back to Dagster's.

    Raises:
        MissingUpstreamError: The tokens are absent or out of date.
        EncoderError: The model needs FP8 and there is none, or its weights do not fit it.
        TrainingError: There are too few GPUs, a target is no layer, or the loss is no longer finite.
    """
    product = study.lora_adapter(variety)

    def build(work: Path) -> Facts:
        tags = {"dagster/run_id": dagster_run_id, "dagster/asset_key": product.asset, "variety": variety}
        with tracker.run(f"{product.asset}/{variety}", tags=tags, resume_file=work / ".tracked_run.json") as run:
            run.log_inputs(product.inputs)
            return _train(study, variety, product.input_digest, work, run, progress)

    return product.make(build)


def adapter_job(
    study: SugarcaneStudy,
    variety: str,
    folder: Path,
    key: str,
    *,
    model: ModelSettings | None = None,
    training: TrainingSettings | None = None,
) -> AdapterJob:
    """What is told to the processes of a training.

    Args:
        study: The study.
        variety: Name of the variety.
        folder: For checkpoints.
        key: Digest of everything that the training is a function of.
        model: In place of the study's, as in a search.
        training: In place of the study's.
    """
    values, weights = study.values, study.weights()
    training = training or values.training
    return AdapterJob(
        # Batches of another size would be counted wrongly from a checkpoint within an epoch.
        key=digest_of([key, weights.sha256, training.batch_size]),
        shards=str(study.files("token_shards", variety)),
        work=str(folder),
        weights=str(weights.path),
        sha256=weights.sha256,
        model=(model or values.model).model_dump(mode="json"),
        training=training.model_dump(mode="json"),
        seed=values.seed,
        device=resolve_device(study.main.settings.device),
        cpu_threads=study.main.settings.cpu_threads,
    )


def _train(
    study: SugarcaneStudy, variety: str, key: str, work: Path, run: TrackedRun, progress: Progress
) -> Facts:
    values = study.values
    device = resolve_device(study.main.settings.device)
    require_gpus(values.training.processes, device, VARIABLE)
    fp8 = uses_fp8(values.model.encoder, device, values.model.without_fp8)  # before the weights are read
    scratch = work / ".training"
    scratch.mkdir(exist_ok=True)
    job = adapter_job(study, variety, scratch, key)
    parameters = {"model": without_folders(job.model), "training": job.training}
    run.log_params(flat(parameters) | {"device": device, "variety": variety})
    history, facts = run_training(TARGET, job, processes=values.training.processes, run=run, progress=progress)
    for file in (scratch / ADAPTER).iterdir():
        link_or_copy(file, work / file.name)
    write_json(work / HISTORY, history)
    return _finish(study, history, facts, work, run) | {"fp8": fp8, "device": device}


def _finish(
    study: SugarcaneStudy, history: list[dict[str, Any]], facts: Facts, work: Path, run: TrackedRun
) -> Facts:
    """Draw and record what came of the training."""
    from glm_assets.language.loss import LN4

    values = study.values
    best = max(history, key=lambda record: record["validation"]["score"])
    zero_shot = facts.pop("zero_shot")
    epochs, steps = epochs_and_steps(values.training)
    figure = plot_training(
        values.model.encoder,
        history,
        planned_epochs=epochs,
        score_name="validation loss",
        lower_is_better=True,
        levels={"zero-shot": zero_shot["loss"], "ln 4": LN4},
        epoch_steps=steps,
    )
    save_figure(figure, work / "training.png")
    run.log_metrics(
        {f"best/{name}": value for name, value in best["validation"].items()}
        | {f"zero_shot/{name}": value for name, value in zero_shot.items()}
        | {"best/step": best["epoch"] * steps}
    )
    run.log_artifact(work / "training.png", "figures")
    for file in sorted(work.glob("*.json")):
        run.log_artifact(file, "adapter")
    waits = run.settle()
    return {
        "encoder": values.model.encoder,
        "method": values.model.method,
        "steps": len(history) * steps,
        "best_step": best["epoch"] * steps,
        "stopped_early": len(history) < epochs,
        "zero_shot_loss": zero_shot["loss"],
        "best_loss": best["validation"]["loss"],
        "uniform_loss": LN4,
        "improvement": zero_shot["loss"] - best["validation"]["loss"],
        "perplexity": best["validation"]["perplexity"],
        "bits_per_base": best["validation"]["bits_per_base"],
        "tokens_trained": len(history) * steps * values.training.items_in_a_step * values.training.context,
        **facts,
        "saved_bytes": sum(file.stat().st_size for file in work.glob("*.safetensors")),
        "mlflow_run_id": run.run_id,
        "mlflow_url": run.url,
        "mlflow_queued": waits,
    }
