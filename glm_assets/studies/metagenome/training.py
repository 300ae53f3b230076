"""Bringing the classifier up to date: tokens or vectors once, a look at the memory, training, and what came of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from glm_assets.encoders.device import resolve_device
from glm_assets.encoders.tokenizers.token_arrays import write_tokens
from glm_assets.encoders.weights import WeightsInfo
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.training_figures import plot_training
from glm_assets.storage.atomic import digest_of, write_json
from glm_assets.storage.products import Facts, Manifest, link_or_copy
from glm_assets.studies.metagenome.job import TOKENS, VECTORS, TrainingJob
from glm_assets.studies.metagenome.memory import plan_memory
from glm_assets.studies.metagenome.rows import SplitRows, read_split_rows, sequence_batches
from glm_assets.studies.metagenome.study import VARIABLE, MetagenomeStudy
from glm_assets.studies.metagenome.tokenizing import study_tokenizer
from glm_assets.studies.metagenome.train import CLASSIFIER
from glm_assets.studies.metagenome.vectors import vector_source
from glm_assets.studies.training_runs import HISTORY, Progress, require_gpus, run_training, without_folders
from glm_assets.tracking import TrackedRun, Tracker
from glm_assets.tracking.parameters import flat

TARGET: Final = "glm_assets.studies.metagenome.train:train_part"
ENCODER, KEYS = "encoder.json", "vectors.parquet"
"""Of a classifier on frozen vectors: what the vectors are, and where those of the labelled reads lie."""


def make_classifier(
    study: MetagenomeStudy, tracker: Tracker, progress: Progress, *, dagster_run_id: str
) -> Manifest:
    """Train the classifier, and record it with the tracker.

    Args:
        study: The study.
        tracker: Where the training is recorded.
        progress: Called with a line now and then.
        dagster_run_id: Links the tracked run back to Dagster's.

    Raises:
        TrainingError: It does not fit the GPU's memory, a split lacks reads, or the loss is no longer finite.
        EncoderError: Model and tokenizer do not fit each other.
    """
    product = study.classifier()

    def build(work: Path) -> Facts:
        tags = {"dagster/run_id": dagster_run_id, "dagster/asset_key": product.asset}
        with tracker.run(product.asset, tags=tags, resume_file=work / ".tracked_run.json") as run:
            run.log_inputs(product.inputs)
            return _train(study, product.input_digest, work, run, progress)

    return product.make(build)


def _train(study: MetagenomeStudy, key: str, work: Path, run: TrackedRun, progress: Progress) -> Facts:
    values, reads = study.values, study.reads().files()
    device = resolve_device(study.main.settings.device)
    require_gpus(values.training.processes, device, VARIABLE)
    rows = read_split_rows(reads, study.splits().files())
    weights = study.weights()
    scratch = work / ".training"
    scratch.mkdir(exist_ok=True)
    memory = plan_memory(study, weights, len(rows.names), progress)
    prepared = (_embed if values.model.method == "frozen" else _tokenize)(study, weights, reads, scratch, progress)
    job = TrainingJob(
        # Batches of another size would be counted wrongly from a checkpoint within an epoch.
        key=digest_of([key, weights.sha256, values.training.batch_size]),
        reads=str(reads),
        splits=str(study.splits().files()),
        work=str(scratch),
        weights=str(weights.path),
        sha256=weights.sha256,
        model=values.model.model_dump(mode="json"),
        training=values.training.model_dump(mode="json"),
        seed=values.seed,
        device=device,
        cpu_threads=study.main.settings.cpu_threads,
        pad_id=prepared.pop("pad_id", 0),
        tokenizer=prepared.get("tokenizer", ""),
    )
    run.log_params(flat({"model": without_folders(job.model), "training": job.training}) | {"device": device})
    history, _ = run_training(TARGET, job, processes=values.training.processes, run=run, progress=progress)
    for file in (scratch / CLASSIFIER).iterdir():
        link_or_copy(file, work / file.name)
    write_json(work / HISTORY, history)
    return _finish(study, rows, history, work, run, weights.size) | prepared | memory


def _tokenize(
    study: MetagenomeStudy, weights: WeightsInfo, reads: Path, scratch: Path, progress: Progress
) -> dict[str, Any]:
    """Tokens of all reads, once."""
    tokenizer = study_tokenizer(study.values.model, weights)
    progress(f"tokenising with {tokenizer.name}")
    counts = write_tokens(
        sequence_batches(reads), tokenizer, scratch / TOKENS, max_length=study.values.model.max_length
    ).counts
    return {
        "tokenizer": tokenizer.digest,
        "pad_id": tokenizer.pad_id,
        "tokens": counts.tokens,
        "truncated_reads": counts.truncated,
        "unknown_token_share": counts.unknown_share,
    }


def _embed(
    study: MetagenomeStudy, weights: WeightsInfo, reads: Path, scratch: Path, progress: Progress
) -> dict[str, Any]:
    """Vectors of all reads: into the store, and out of it into one array that training reads from."""
    source = vector_source(study, weights)
    # Arrow's strings take a fraction of the memory of Python's.
    sequences = pl.concat(
        pl.Series("seq", source.cut(batch), dtype=pl.String) for batch in sequence_batches(reads)
    )
    keys, report = source.embed(sequences, progress)
    spec, rows = source.spec, source.shard_rows
    array = np.lib.format.open_memmap(scratch / VECTORS, "w+", np.float32, (len(keys), spec.dimension))
    for start in range(0, len(keys), rows):
        array[start : start + rows] = source.store.read_sequences(keys[start : start + rows])
    array.flush()
    folder = scratch.parent
    write_json(folder / ENCODER, spec.as_dict())
    pl.DataFrame({"key": keys}).write_parquet(folder / KEYS)
    return {
        "windows_computed": report.windows_computed,
        "cache_hits": report.cache_hits,
        "fingerprint": spec.fingerprint,
    }


def _finish(
    study: MetagenomeStudy,
    rows: SplitRows,
    history: list[dict[str, Any]],
    work: Path,
    run: TrackedRun,
    model_bytes: int,
) -> Facts:
    """Draw and record what came of the training."""
    best = max(history, key=lambda record: record["validation"]["score"])
    epochs = study.values.training.epochs
    figure = plot_training(
        study.values.model.encoder, history, planned_epochs=epochs, score_name="macro F1", figures=("accuracy",)
    )
    save_figure(figure, work / "training.png")
    run.log_metrics(
        {f"best/{name}": value for name, value in best["validation"].items()} | {"best/epoch": best["epoch"]}
    )
    run.log_artifact(work / "training.png", "figures")
    for file in sorted(work.glob("*.json")):
        run.log_artifact(file, "classifier")
    sizes = {file.name: file.stat().st_size for file in work.glob("*.safetensors")}
    waits = run.settle()
    return {
        "method": study.values.model.method,
        "labels": list(rows.names),
        "reads": {name: len(of) for name, of in rows.rows.items()},
        "epochs": len(history),
        "best_epoch": best["epoch"],
        "stopped_early": len(history) < epochs,
        "metrics": {name: value for name, value in best["validation"].items() if name != "score"},
        "trainable_parameters": sum(map(_count, work.glob("*.safetensors"))),
        "saved_bytes": sum(sizes.values()),
        "model_bytes": model_bytes,
        "mlflow_run_id": run.run_id,
        "mlflow_url": run.url,
        "mlflow_queued": waits,
    }


def _count(file: Path) -> int:
    """Numbers in a safetensors file, of which its header tells."""
    from safetensors import safe_open

    with safe_open(file, "numpy") as opened:
        return sum(math.prod(opened.get_slice(name).get_shape()) for name in opened.keys())  # noqa: SIM118
