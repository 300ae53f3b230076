"""Training a variety's adapter in one process, or this process's part of it. torch is imported when it runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glm_assets.encoders.device import CPU, peak_memory, prepare_device
from glm_assets.language.evo2 import load_evo2
from glm_assets.language.token_store import TokenStore
from glm_assets.language.windows import TokenWindows
from glm_assets.storage.atomic import write_json
from glm_assets.studies.sugarcane.job import AdapterJob
from glm_assets.studies.training_runs import CHECKPOINTS, HISTORY, epochs_and_steps

if TYPE_CHECKING:
    from torch import Tensor

    from glm_assets.language.evo2_network import Evo2Network
    from glm_assets.language.task import LanguageTask
    from glm_assets.training.checkpoints import EpochRecord
    from glm_assets.training.distributed import Ranks

ADAPTER = "adapter"
"""Folder of what was trained, in the working folder."""


def train_part(
    job: Mapping[str, Any],
    ranks: Ranks,
    progress: Callable[[str], None],
    on_epoch: Callable[[EpochRecord], None] = lambda _: None,
    *,
    judge_before: bool = True,
) -> dict[str, Any]:
    """Train, and in the first process leave the best epoch's adapter and the history in the working folder.

    Args:
        job: An `AdapterJob` as JSON.
        ranks: The processes that train together.
        progress: Called with a line now and then.
        on_epoch: Called with every epoch, in the first process.
        judge_before: Look at the validation windows before the first step.

    Returns:
        Facts: figures before training, counts of what is trained and of what stayed as it was, speed and memory.
    """
    from safetensors.torch import load_file

    from glm_assets.training.checkpoints import CheckpointFolder, ranked
    from glm_assets.training.loop import fit
    from glm_assets.training.lora import lora_parameter_count
    from glm_assets.training.seeding import seeded
    from glm_assets.training.states import load_part, trainable_state

    told = AdapterJob(**job)
    device = ranks.device if ranks.size > 1 else told.device
    prepare_device(device, told.cpu_threads)
    settings = told.training_settings
    sharded = ranks.size > 1 and settings.strategy == "fsdp"
    with seeded(told.seed):
        network = trained_network(told, device)
        task = _task(told, network, ranks, device, sharded=sharded)
        begun = {name: _digest(value) for name, value in trainable_state(network).items()}
        facts: dict[str, Any] = {
            "adapter_parameters": lora_parameter_count(network),
            "trained_parameters": sum(value.numel() for value in trainable_state(network).values()),
            "model_parameters": sum(parameter.numel() for parameter in network.parameters()),
            **_in_optimiser(task),
        }
        progress(f"training {facts['trained_parameters']:,} of {facts['model_parameters']:,} parameters")
        if judge_before:
            facts["zero_shot"] = ranks.first(task.validate(0))
            progress(f"zero-shot: {facts['zero_shot']['loss']:.4f} nats a token")
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
    facts |= {"tokens_per_second": task.tokens_per_second, "peak_memory_bytes": _peak(device)}
    if ranks.is_first:
        best = load_file(checkpoints.weights(ranked(history)[0].epoch))
        facts["unchanged_tensors"] = sum(_digest(value) == begun[name] for name, value in best.items())
        if sharded:  # other processes hold the rest of every tensor, and checkpoints the whole
            network = trained_network(told, CPU)
        load_part(network, best)
        _save(told, network)
        write_json(told.folder / HISTORY, [asdict(record) for record in history])
    return facts | {"windows": {"train": len(task.train), "val": len(task.val)}}


def trained_network(job: AdapterJob, device: str) -> Evo2Network:
    """The model as it was published, with that trainable which the method trains."""
    from glm_assets.training.lora import LoraSettings

    values = job.model_settings
    network = load_evo2(
        values.encoder,
        Path(job.weights),
        device=device,
        dtype=job.dtype,
        without_fp8=values.without_fp8,
        checkpointing=values.gradient_checkpointing,
    )
    if values.lora is None:
        network.requires_grad_(True)
    else:
        network.adapt(LoraSettings(**values.lora.model_dump(), also_train=values.also_train))
    return network


def _task(job: AdapterJob, network: Evo2Network, ranks: Ranks, device: str, *, sharded: bool) -> LanguageTask:
    from glm_assets.language.task import LanguageTask

    settings, store = job.training_settings, TokenStore(Path(job.shards))
    _, steps = epochs_and_steps(settings)
    return LanguageTask(
        network,
        TokenWindows(store, "train", settings.context),
        TokenWindows(store, "val", settings.context),
        batch_size=settings.batch_size,
        bases_per_token=store.card.bases_per_token,
        ranks=ranks,
        sharded=sharded,
        device=device,
        validation_windows=settings.validation_windows,
        micro_batches=steps * settings.accumulation * ranks.size,
        seed=job.seed,
    )


def _in_optimiser(task: LanguageTask) -> dict[str, int]:
    """How many tensors the optimiser moves, and of the adapters' how many there are and how many it moves."""
    from glm_assets.training.lora import LORA_MARK

    moved = {id(parameter) for group in task.parameter_groups(0.0) for parameter in group["params"]}
    adapters = [id(value) for name, value in task.model.named_parameters() if LORA_MARK in name]
    return {
        "trained_tensors": len(moved),
        "adapter_tensors": len(adapters),
        "adapter_tensors_in_optimiser": len(moved.intersection(adapters)),
    }


def _save(job: AdapterJob, network: Evo2Network) -> None:
    from glm_assets.language.evo2_files import TrainedCard, save_trained

    values = job.model_settings
    card = TrainedCard(
        method=values.method,
        encoder=values.encoder,
        encoder_sha256=job.sha256,
        context=job.training_settings.context,
    )
    save_trained(job.folder / ADAPTER, network, card)


def _digest(value: Tensor) -> bytes:
    """Tells a tensor that was moved from one that was not, without a second copy of a large model."""
    import torch

    numbers = value.detach().cpu().contiguous().flatten().view(torch.uint8)
    return hashlib.blake2b(numbers.numpy().data, digest_size=16).digest()


def _peak(device: str) -> int:
    """Most bytes of memory that were held: of the GPU, or of this process."""
    if device != CPU:
        return peak_memory(device)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
