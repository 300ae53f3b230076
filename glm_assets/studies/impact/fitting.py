"""Training the two heads of the study: the convolutional one and its linear baseline."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glm_assets.errors import TrainingError
from glm_assets.studies.impact.activations import Activations
from glm_assets.studies.impact.configuration import HeadSettings
from glm_assets.studies.impact.linear import LinearBaseline, fit_linear
from glm_assets.studies.impact.rows import Rows
from glm_assets.tracking import TrackedRun

if TYPE_CHECKING:
    from glm_assets.studies.impact.network import ImpactHead
    from glm_assets.training.checkpoints import EpochRecord


@dataclass(frozen=True)
class FittedConvolution:
    """A trained convolutional head.

    Attributes:
        model: As it was after the best epoch.
        history: A mapping for each epoch, as of `EpochRecord`.
        best_epoch: Counted from 1.
        parameters: How many are trained.
    """

    model: ImpactHead
    history: list[dict[str, Any]]
    best_epoch: int
    parameters: int


def require_rows(train: Rows, val: Rows) -> None:
    """Refuse what nothing can be learned from or chosen by.

    Raises:
        TrainingError: A split is empty, or all training targets are equal.
    """
    for name, rows in (("train", train), ("val", val)):
        if not len(rows):
            raise TrainingError(
                f"no example is in the split {name}",
                expected="examples in train, val and test",
                fix="take more chromosomes or variants in the configuration that GLM_IMPACT names",
            )
    if np.ptp(train.target) == 0:
        raise TrainingError(
            f"all {len(train):,} training examples have the impact {10 * train.target[0]:g}",
            expected="examples of several impacts",
            fix="take more chromosomes, or raise reads.absent_variants in the configuration that GLM_IMPACT names",
        )


def fit_baseline(activations: Activations, train: Rows, val: Rows) -> tuple[LinearBaseline, dict[str, float]]:
    """Fit the linear baseline to the mean over positions; see `fit_linear`."""
    train_means, val_means = activations.means(train.at), activations.means(val.at)
    return fit_linear(train_means, train.target, train.importance, val_means, val.target)


def fit_convolution(
    settings: HeadSettings,
    activations: Activations,
    train: Rows,
    val: Rows,
    work: Path,
    *,
    key: str,
    seed: int,
    device: str,
    run: TrackedRun,
    progress: Callable[[str], None],
) -> FittedConvolution:
    """Train the convolutional head, and leave it as it was after its best epoch.

    A killed training goes on from its last finished epoch when called again with the same arguments.

    Args:
        settings: Sizes and training.
        activations: Of all rows.
        train: What is trained on.
        val: What chooses the epoch.
        work: Folder for the epochs' checkpoints, kept between attempts.
        key: Digest of everything the training is a function of.
        seed: Of the first weights and of the order.
        device: `cpu` or `cuda:N`.
        run: Receives the epochs' figures.
        progress: Told the newest figures every few seconds.

    Raises:
        SettingsError: The head cannot take so few positions.
        CheckpointError: `work` belongs to another training.
        TrainingError: The loss is no longer finite.
    """
    import torch

    from glm_assets.studies.impact.network import make_head, parameter_count
    from glm_assets.studies.impact.task import ImpactTask
    from glm_assets.training.checkpoints import CheckpointFolder, ranked
    from glm_assets.training.early_stopping import EarlyStopping
    from glm_assets.training.loop import fit
    from glm_assets.training.schedules import Schedule
    from glm_assets.training.seeding import seeded
    from glm_assets.training.settings import LoopSettings
    from glm_assets.training.states import load_weights

    def track(record: EpochRecord) -> None:
        figures = {f"train/{name}": value for name, value in record.train.items()}
        run.log_epoch(record.epoch, figures | {f"val/{name}": value for name, value in record.validation.items()})

    loop = LoopSettings(
        settings.epochs,
        settings.learning_rate,
        weight_decay=settings.weight_decay,
        clip_norm=math.inf,  # the original does not clip
        schedule=Schedule("constant"),
        early_stopping=EarlyStopping(settings.patience) if settings.patience else None,
    )
    with seeded(seed):
        model = make_head(settings, activations.length, activations.width)
        if settings.standardise:
            model.standardise(*activations.channel_statistics(train.at))
        task = ImpactTask(model.to(torch.device(device)), activations, train, val, settings.batch_size)
        checkpoints = CheckpointFolder(work, key=key, keep=1)
        history = fit(task, loop, checkpoints, on_epoch=track, progress=progress)
    best = ranked(history)[0].epoch
    load_weights(task, checkpoints.weights(best))
    return FittedConvolution(model, [asdict(record) for record in history], best, parameter_count(model))
