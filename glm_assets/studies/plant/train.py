"""Training a plant language model in one process, or this process's part of it. torch is imported when it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from glm_assets.encoders.device import prepare_device
from glm_assets.encoders.plant_lm.files import save_plant_lm
from glm_assets.language.token_store import TokenStore
from glm_assets.language.windows import TokenWindows, overlap_step
from glm_assets.storage.atomic import write_json
from glm_assets.studies.plant.job import PlantJob
from glm_assets.studies.plant.sampling import SpeciesPlan
from glm_assets.studies.plant.starting import begin_with_bases, token_frequencies
from glm_assets.studies.training_runs import CHECKPOINTS, HISTORY

if TYPE_CHECKING:
    from glm_assets.encoders.plant_lm.network import PlantLm
    from glm_assets.studies.plant.task import PlantTask, SpeciesWindows
    from glm_assets.training.checkpoints import EpochRecord
    from glm_assets.training.distributed import Ranks

MODEL: Final = "model"
"""Folder of the trained model in the working folder."""


def train_part(
    job: Mapping[str, Any],
    ranks: Ranks,
    progress: Callable[[str], None],
    on_epoch: Callable[[EpochRecord], None] = lambda _: None,
) -> dict[str, Any]:
    """Train, and in the first process leave the best epoch's model and the history in the working folder.

    Args:
        job: A `PlantJob` as JSON.
        ranks: The processes that train together.
        progress: Called with a line now and then, with the pace.
        on_epoch: Called with every epoch, in the first process; those trained in this call have the pace too.

    Returns:
        `parameters` that are trained, and `tokens_per_second`, None where this call trained nothing.
    """
    from glm_assets.training.checkpoints import CheckpointFolder, ranked
    from glm_assets.training.loop import fit
    from glm_assets.training.seeding import seeded
    from glm_assets.training.states import load_weights

    told = PlantJob(**job)
    device = ranks.device if ranks.size > 1 else told.device
    prepare_device(device, told.cpu_threads)
    stores = [TokenStore(Path(folder)) for folder in told.tokens.values()]
    with seeded(told.seed):
        network = _network(told, stores).to(device)
        task = _task(told, network, stores, ranks, device)
        parameters = sum(each.numel() for each in network.parameters() if each.requires_grad)
        progress(f"training {parameters:,} parameters on {len(task.train):,} windows of {len(stores)} species")
        checkpoints = CheckpointFolder(told.folder / CHECKPOINTS, key=told.key, keep=1)
        history = fit(
            task,
            told.loop_settings(device),
            checkpoints,
            on_epoch=lambda record: on_epoch(_with_pace(record, task)),
            progress=lambda line: progress(f"{line}, {task.pace:,.0f} tokens/s" if ": step" in line else line),
            ranks=ranks,
        )
    if ranks.is_first:
        load_weights(task, checkpoints.weights(ranked(history)[0].epoch))
        save_plant_lm(network, told.folder / MODEL)
        write_json(told.folder / HISTORY, [asdict(record) for record in history])
    return {"parameters": parameters, "tokens_per_second": task.tokens_per_second}


def _network(job: PlantJob, stores: list[TokenStore]) -> PlantLm:
    from glm_assets.encoders.plant_lm.network import PlantLm

    network = PlantLm(job.network)
    if job.training_settings.start == "bases":
        begin_with_bases(network, token_frequencies(stores, list(job.weights.values())))
    return network


def _task(job: PlantJob, network: PlantLm, stores: list[TokenStore], ranks: Ranks, device: str) -> PlantTask:
    from glm_assets.studies.plant.task import PlantTask

    settings = job.training_settings
    train, val = (
        split_windows(stores, split, job.model_settings.context, settings.overlap) for split in ("train", "val")
    )
    micro_batches = job.micro_batches
    plan = SpeciesPlan(
        job.weights,
        train.counts.tolist(),
        settings,
        per_epoch=micro_batches * settings.batch_size,
        seed=job.seed,
    )
    return PlantTask(
        network,
        train,
        val,
        plan,
        batch_size=settings.batch_size,
        label_smoothing=settings.label_smoothing,
        ranks=ranks,
        device=device,
        validation_windows=settings.validation_windows,
        micro_batches=micro_batches,
        seed=job.seed,
    )


def split_windows(stores: list[TokenStore], split: str, context: int, overlap: float) -> SpeciesWindows:
    """The windows of a split, of all species; where they validate, a token that two of them have counts once."""
    from glm_assets.studies.plant.task import SpeciesWindows

    step = overlap_step(context, overlap)
    return SpeciesWindows(
        [TokenWindows(store, split, context, step=step, once=split != "train") for store in stores]
    )


def _with_pace(record: EpochRecord, task: PlantTask) -> EpochRecord:
    pace = task.tokens_per_second
    return record if pace is None else replace(record, train=record.train | {"tokens_per_second": pace})
