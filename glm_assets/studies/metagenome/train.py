"""Training a classifier in one process, or this process's part of it. torch is imported when it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glm_assets.encoders.device import CPU, prepare_device
from glm_assets.encoders.tokenizers.token_arrays import TokenArrays
from glm_assets.storage.atomic import write_json
from glm_assets.studies.metagenome.job import TOKENS, VECTORS, TrainingJob
from glm_assets.studies.metagenome.rows import SplitRows, read_split_rows
from glm_assets.studies.training_runs import CHECKPOINTS, HISTORY

if TYPE_CHECKING:
    from torch import Tensor

    from glm_assets.studies.metagenome.task import Inputs, Reads
    from glm_assets.training.checkpoints import EpochRecord
    from glm_assets.training.distributed import Ranks
    from glm_assets.training.sequence_classifier import SequenceClassifier, VectorClassifier

CLASSIFIER = "classifier"
"""Folder of the trained classifier in the working folder."""


def train_part(
    job: Mapping[str, Any],
    ranks: Ranks,
    progress: Callable[[str], None],
    on_epoch: Callable[[EpochRecord], None] = lambda _: None,
) -> None:
    """Train, and in the first process leave the best epoch's classifier and the history in the working folder.

    Args:
        job: A `TrainingJob` as JSON.
        ranks: The processes that train together.
        progress: Called with a line now and then.
        on_epoch: Called with every epoch, in the first process.
    """
    from safetensors.torch import load_file

    from glm_assets.studies.metagenome.task import ClassifierTask
    from glm_assets.training.checkpoints import CheckpointFolder, ranked
    from glm_assets.training.loop import fit
    from glm_assets.training.lora import lora_parameter_count
    from glm_assets.training.seeding import seeded
    from glm_assets.training.states import load_part, trainable_state

    told = TrainingJob(**job)
    device = ranks.device if ranks.size > 1 else told.device
    prepare_device(device, told.cpu_threads)
    settings, rows = told.training_settings, read_split_rows(Path(told.reads), Path(told.splits))
    sharded = ranks.size > 1 and settings.strategy == "fsdp"
    inputs = _inputs(told)
    with seeded(told.seed):
        model = _model(told, len(rows.names), device)
        task = ClassifierTask(
            model,
            _reads(rows, "train", inputs),
            _reads(rows, "val", inputs),
            names=rows.names,
            batch_size=settings.batch_size,
            label_smoothing=settings.label_smoothing,
            ranks=ranks,
            sharded=sharded,
            device=device,
        )
        adapters = lora_parameter_count(model)
        progress(f"training {_count(trainable_state(model)):,} parameters, {adapters:,} of them in adapters")
        checkpoints = CheckpointFolder(told.folder / CHECKPOINTS, key=told.key, keep=1)
        history = fit(
            task,
            told.loop_settings(device),
            checkpoints,
            on_epoch=on_epoch,
            progress=progress,
            ranks=ranks,
            strategy=settings.strategy,
        )
    if ranks.is_first:
        dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
        if sharded:  # other processes hold the rest of every tensor, and checkpoints the whole
            model = _model(told, len(rows.names), CPU)
        load_part(model, load_file(checkpoints.weights(ranked(history)[0].epoch)))
        _save(told, model, dtype, rows.names, history)


def _count(state: Mapping[str, Tensor]) -> int:
    return sum(value.numel() for value in state.values())


def _inputs(job: TrainingJob) -> Inputs:
    from glm_assets.studies.metagenome.task import TokenInputs, VectorInputs

    if job.model_settings.method == "frozen":
        return VectorInputs(np.load(job.folder / VECTORS, mmap_mode="r"))
    return TokenInputs(TokenArrays(job.folder / TOKENS), job.pad_id)


def _reads(rows: SplitRows, split: str, inputs: Inputs) -> Reads:
    from glm_assets.studies.metagenome.task import Reads

    return Reads(inputs, rows.rows[split], rows.label[rows.rows[split]])


def _model(job: TrainingJob, classes: int, device: str) -> SequenceClassifier | VectorClassifier:
    """A head on stored vectors, or a language model with a head."""
    from glm_assets.training.backbones import load_backbone
    from glm_assets.training.lora import LoraSettings
    from glm_assets.training.sequence_classifier import SequenceClassifier, VectorClassifier

    values = job.model_settings
    if values.method == "frozen":
        width = np.load(job.folder / VECTORS, mmap_mode="r").shape[1]
        head = VectorClassifier(
            width, classes=classes, pooling=values.pooling, dropout=values.dropout, hidden_layer=values.hidden
        )
        return head.to(device)
    backbone = load_backbone(
        Path(job.weights).parent,
        method=values.method,
        lora=LoraSettings(**values.lora.model_dump()) if values.lora else None,
        device=device,
        dtype="float32" if job.training_settings.precision == "float32" else "auto",
        gradient_checkpointing=values.gradient_checkpointing,
    )
    return SequenceClassifier(
        backbone, classes=classes, pooling=values.pooling, dropout=values.dropout, hidden_layer=values.hidden
    )


def _save(
    job: TrainingJob,
    model: SequenceClassifier | VectorClassifier,
    dtype: str,
    names: tuple[str, ...],
    history: list[EpochRecord],
) -> None:
    from glm_assets.studies.metagenome.label_map import write_labels
    from glm_assets.training.classifier_files import ClassifierCard, save_classifier

    values = job.model_settings
    folder = job.folder / CLASSIFIER
    card = ClassifierCard(
        method=values.method,
        encoder=values.encoder,
        encoder_sha256=job.sha256,
        dtype=dtype,
        labels=names,
        tokenizer=job.tokenizer,
        max_length=values.max_length,
    )
    save_classifier(folder, model, card)
    write_labels(names, folder)
    write_json(job.folder / HISTORY, [asdict(record) for record in history])
