"""What the trainings of studies have in common: their processes, and what a tracker is told of them."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from glm_assets.encoders.device import CPU
from glm_assets.errors import TrainingError
from glm_assets.studies.training_job import StudyJob
from glm_assets.studies.training_values import LanguageTraining
from glm_assets.tracking import TrackedRun
from glm_assets.training.early_stopping import EarlyStopping
from glm_assets.training.schedules import Schedule
from glm_assets.training.settings import LoopSettings

if TYPE_CHECKING:
    from glm_assets.training.checkpoints import EpochRecord

Progress = Callable[[str], None]

CHECKPOINTS: Final = "checkpoints"
HISTORY: Final = "history.json"
"""In a training's working folder: its checkpoints, and its epochs once it is over."""


def require_gpus(processes: int, device: str, variable: str) -> None:
    """Say before anything is computed that there are too few GPUs.

    Args:
        processes: That are to train together.
        device: `cpu` or `cuda:N`.
        variable: The environment variable that names the study's values.

    Raises:
        TrainingError: So it is.
    """
    if processes == 1 or device == CPU:
        return
    import torch

    if (gpus := torch.cuda.device_count()) < processes:
        raise TrainingError(
            f"training.processes is {processes}, and this step sees {gpus} GPU{'s' * (gpus != 1)}",
            expected="a GPU for each process",
            fix=f"set training.processes to {max(gpus, 1)} in {variable}, or give the step more GPUs",
        )


def run_training(
    target: str,
    job: StudyJob,
    *,
    processes: int,
    run: TrackedRun,
    progress: Progress,
) -> tuple[list[dict[str, Any]], Any]:
    """Train in this process or in several, and tell the tracker of every epoch.

    Args:
        target: `package.module:function`, called as `function(job, ranks, progress)`, in this process with a function
            that takes each epoch besides. The first process leaves the epochs as `HISTORY` in its folder.
        job: What it is given, as JSON.
        processes: How many train together.
        run: Takes the epochs.
        progress: Called with a line now and then.

    Returns:
        The epochs, and what the function returned in the first process.
    """
    from glm_assets.training.distributed import ALONE
    from glm_assets.training.launch import launch

    def log(record: EpochRecord) -> None:
        log_epoch(run, vars(record))

    if processes == 1:
        module, _, name = target.partition(":")
        value = getattr(importlib.import_module(module), name)(job.as_dict(), ALONE, progress, log)
    else:
        backend = "gloo" if job.device == CPU else "nccl"
        value = launch(target, job.as_dict(), processes, backend=backend, progress=progress)
    history = json.loads((job.folder / HISTORY).read_text(encoding="utf-8"))
    for record in history if processes > 1 else []:
        log_epoch(run, record)
    return history, value


def log_epoch(run: TrackedRun, record: Mapping[str, Any]) -> None:
    """Tell the tracker of an epoch, the fields of `training.checkpoints.EpochRecord`."""
    figures = {f"{part}/{name}": value for part in ("train", "validation") for name, value in record[part].items()}
    run.log_epoch(record["epoch"], {"learning_rate": record["learning_rate"], **figures})


def without_folders(values: Mapping[str, Any], keys: tuple[str, ...] = ("checkpoint", "path")) -> dict[str, Any]:
    """Values with the names alone of files, for a tracking server is no place for a machine's folders.

    Args:
        values: Also nested.
        keys: Of values that are paths, or None.
    """
    return {
        key: without_folders(value, keys)
        if isinstance(value, Mapping)
        else Path(value).name
        if key in keys and value
        else value
        for key, value in values.items()
    }


def epochs_and_steps(training: LanguageTraining) -> tuple[int, int]:
    """Epochs of a language model's training, and optimiser steps of one.

    Each ends with a look at the validation windows. All have as many steps, no more than `validate_steps`, and together
    no more than `steps`.
    """
    epochs = -(-training.steps // training.validate_steps)
    return epochs, training.steps // epochs


def language_loop(training: LanguageTraining, *, mixed_precision: bool) -> LoopSettings:
    """How a language model's weights are moved.

    Args:
        training: The study's values.
        mixed_precision: Multiply matrices in bfloat16.
    """
    epochs, _ = epochs_and_steps(training)
    return LoopSettings(
        epochs=epochs,
        learning_rate=training.learning_rate,
        min_learning_rate=training.min_learning_rate,
        weight_decay=training.weight_decay,
        clip_norm=training.clip_norm,
        mixed_precision=mixed_precision,
        schedule=Schedule("cosine", training.warmup_steps),
        accumulation=training.accumulation,
        betas=training.betas,
        early_stopping=EarlyStopping(training.patience) if training.patience else None,
        checkpoint_every_steps=training.checkpoint_steps,
    )
