"""Bringing the classifier up to date: tokens or vectors once, a look at the memory, training, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from glm_assets.encoders.device import CPU, resolve_device
from glm_assets.encoders.embed import embed_sequences
from glm_assets.encoders.registry import encoder_spec
from glm_assets.encoders.tokenizers.token_arrays import write_tokens
from glm_assets.encoders.weights import WeightsInfo
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.training_figures import plot_training
from glm_assets.lineage.engines import OtherEncoder, study_engine
from glm_assets.storage.atomic import digest_of, write_json
from glm_assets.storage.products import Facts, Manifest, link_or_copy
from glm_assets.studies.metagenome.job import HISTORY, TOKENS, VECTORS, TrainingJob
from glm_assets.studies.metagenome.memory import plan_memory
from glm_assets.studies.metagenome.rows import SplitRows, read_split_rows, sequence_batches
from glm_assets.studies.metagenome.study import MetagenomeStudy
from glm_assets.studies.metagenome.tokenizing import study_tokenizer
from glm_assets.studies.metagenome.train import CLASSIFIER, train_part
from glm_assets.tracking import TrackedRun, Tracker

if TYPE_CHECKING:
    from glm_assets.training.checkpoints import EpochRecord

Progress = Callable[[str], None]

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
    rows = read_split_rows(reads, study.splits().files())
    weights = study.weights()
    scratch = work / ".training"
    scratch.mkdir(exist_ok=True)
    memory = plan_memory(study, weights, len(rows.names), progress)
    prepared = (_embed if values.model.method == "frozen" else _tokenize)(study, weights, reads, scratch, progress)
    job = TrainingJob(
        key=digest_of([key, weights.sha256]),
        reads=str(reads),
        splits=str(study.splits().files()),
        work=str(scratch),
        weights=str(weights.path),
        sha256=weights.sha256,
        model=values.model.model_dump(mode="json"),
        training=values.training.model_dump(mode="json"),
        seed=values.seed,
        device=resolve_device(study.main.settings.device),
        cpu_threads=study.main.settings.cpu_threads,
        pad_id=prepared.pop("pad_id", 0),
        tokenizer=prepared.get("tokenizer", ""),
    )
    run.log_params(_flat({"model": job.model, "training": job.training}) | {"device": job.device})
    history = _run(job, run, progress)
    for file in (scratch / CLASSIFIER).iterdir():
        link_or_copy(file, work / file.name)
    write_json(work / HISTORY, history)
    return _finish(study, rows, history, work, run, weights.size) | prepared | memory


def _run(job: TrainingJob, run: TrackedRun, progress: Progress) -> list[dict[str, Any]]:
    """Train in this process or in several; returns the epochs."""
    from glm_assets.training.distributed import ALONE
    from glm_assets.training.launch import launch

    processes = job.training_settings.processes

    def log(record: EpochRecord) -> None:
        _log_epoch(run, vars(record))

    if processes == 1:
        train_part(job.as_dict(), ALONE, progress, log)
    else:
        backend = "gloo" if job.device == CPU else "nccl"
        launch(TARGET, job.as_dict(), processes, backend=backend, progress=progress)
    history = json.loads((job.folder / HISTORY).read_text(encoding="utf-8"))
    for record in history if processes > 1 else []:
        _log_epoch(run, record)
    return history


def _log_epoch(run: TrackedRun, record: dict[str, Any]) -> None:
    figures = {f"{part}/{name}": value for part in ("train", "validation") for name, value in record[part].items()}
    run.log_epoch(record["epoch"], {"learning_rate": record["learning_rate"], **figures})


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
    values, settings = study.values.model, study.main.settings
    spec = encoder_spec(
        values.encoder,
        revision=weights.sha256,
        weights=weights.path,
        layer=values.layer,
        pooling=values.pooling,
        device=settings.device,
    )
    store = study.main.store("float32")
    other = OtherEncoder(weights.path, study.main.profile.encoder.batch_tokens)
    engine = study_engine(study.main, spec, store, other=other)
    sequences = pl.Series("seq", [each[: spec.context] for batch in sequence_batches(reads) for each in batch])
    shard_rows = study.main.profile.encoder.shard_rows
    keys, report = embed_sequences(sequences, spec, engine, store, shard_rows=shard_rows, progress=progress)
    array = np.lib.format.open_memmap(scratch / VECTORS, "w+", np.float32, (len(keys), spec.dimension))
    for start in range(0, len(keys), shard_rows):
        array[start : start + shard_rows] = store.read_sequences(keys[start : start + shard_rows])
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
        "saved_bytes": sum(sizes.values()),
        "model_bytes": model_bytes,
        "mlflow_run_id": run.run_id,
        "mlflow_url": run.url,
        "mlflow_queued": waits,
    }


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values as one level, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, item in values.items():
        flat |= _flat(item, f"{prefix}{key}.") if isinstance(item, dict) else {prefix + key: item}
    return flat
