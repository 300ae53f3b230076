"""Tokens of two toy species, and trainings on them that several processes can make alike."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from glm_assets.language.token_store import Segment, TokenStore, write_store
from glm_assets.studies.plant.job import PlantJob
from glm_assets.studies.plant.train import MODEL, train_part
from glm_assets.training.distributed import ALONE, Ranks
from glm_assets_tests.training.tasks import stop_at_step

K = 2
SPECIES = ("cress", "maize")
LENGTHS = {"train": (130, 90, 150), "val": (60, 60), "test": (40, 45, 50, 60, 70, 44)}
WORDS = {"cress": (1, 6, 11), "maize": (12, 3, 7)}
BLOCK_BASES = 1_000


def toy_tokens(folder: Path, species: str, seed: int) -> TokenStore:
    """Segments of three words that come in turn, one in five replaced by any word."""
    generator, segments = np.random.default_rng(seed), []
    for split, lengths in LENGTHS.items():
        for length in lengths:
            ids = np.resize(np.array(WORDS[species]), length)
            odd = generator.random(length) < 0.2
            ids[odd] = generator.integers(0, 4**K, int(odd.sum()))
            place = BLOCK_BASES * len(segments)
            segments.append(Segment("chr1", place, "+", split, [(ids.astype(np.uint16), None)]))
    folder.mkdir(parents=True, exist_ok=True)
    return write_store(segments, folder, dtype=np.uint16, vocabulary_size=4**K, bases_per_token=K)


MODEL_VALUES: dict[str, Any] = {
    "width": 16,
    "heads": 2,
    "layers": 1,
    "dropout": 0.2,
    "context": 8,
    "window": 4,
    "local": "sliding",
    "positions": 32,
    "tied": True,
    "memory": "content",
    "memory_per_species": True,
    "memory_rate": 0.05,
    "normalise_steps": 3,
}
TRAINING_VALUES: dict[str, Any] = {
    "steps": 10,
    "validate_steps": 5,
    "validation_windows": 12,
    "batch_size": 4,
    "accumulation": 1,
    "learning_rate": 0.01,
    "weight_decay": 0.01,
    "warmup_steps": 2,
    "clip_norm": 1.0,
    "overlap": 0.5,
    "sampling": "decay",
    "checkpoint_steps": 2,
}


def toy_job(folder: Path, *, model: Mapping[str, Any] = {}, **training: Any) -> PlantJob:
    """A training in `folder`, on tokens that lie beside it."""
    tokens = folder.parent / "tokens"
    if not tokens.exists():
        for seed, species in enumerate(SPECIES):
            toy_tokens(tokens / species, species, seed)
    folder.mkdir()
    return PlantJob(
        key="k",
        work=str(folder),
        tokens={species: str(tokens / species) for species in SPECIES},
        weights={"cress": 1.0, "maize": 0.5},
        k=K,
        model={**MODEL_VALUES, **model},
        training={**TRAINING_VALUES, **training},
        seed=5,
        device="cpu",
        cpu_threads=1,
    )


def quiet(_: str) -> None:
    """Progress that nobody reads."""


def train_alone(job: PlantJob, progress: Callable[[str], None] = quiet) -> dict[str, Any]:
    """Train in this process; the trained tensors by name, the history and what the training returned."""
    trained = train_part(job.as_dict(), ALONE, progress)
    return outcome(job) | {"returned": trained}


def outcome(job: PlantJob) -> dict[str, Any]:
    """The trained tensors by name, and the history."""
    from safetensors.torch import load_file

    history = json.loads((job.folder / "history.json").read_text())
    return {"state": load_file(job.folder / MODEL / "model.safetensors"), "history": history}


def train_rank(job: Mapping[str, Any], ranks: Ranks, progress: Callable[[str], None]) -> dict[str, Any]:
    """Train as one of several processes; `kill` names a rank and the steps after which it ends.

    Returns what every process has in the end, one's after the other's.
    """
    from glm_assets.training import loop

    kill = job.get("kill")
    if kill and kill["rank"] == ranks.rank:
        stop_at_step(kill["steps"], lambda: os.kill(os.getpid(), signal.SIGKILL))
    tasks = []
    fit = loop.fit

    def watched(task, *args, **options):
        tasks.append(task)
        return fit(task, *args, **options)

    loop.fit = watched
    train_part(job["job"], ranks, progress)
    state = tasks[0].model.state_dict()
    own = torch.cat([value.detach().double().flatten() for value in state.values()])
    return {"names": list(state), "values": ranks.gather(own.numpy()[None]).tolist()}
