"""Which engine computes a study's vectors, when it is not this process."""

from __future__ import annotations

from pathlib import Path

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.embed import Engine
from glm_assets.encoders.job import EmbedJob
from glm_assets.encoders.ray_actors import RayActors
from glm_assets.encoders.worker_processes import StartWorker, WorkerProcesses, command_worker
from glm_assets.lineage.study import Study


def worker_engine(study: Study, spec: EncoderSpec, start_worker: StartWorker | None = None) -> Engine:
    """The engine that the settings name: worker processes, or actors on a Ray cluster.

    The queue of worker processes lies in the data root, which workers on other machines must reach for the weights
    anyway.

    Args:
        study: Whose settings, weights and store these are.
        spec: What the vectors are.
        start_worker: How to start a worker, where the settings do not say it.

    Raises:
        EncoderError: The settings do not say how to start a worker.
    """
    settings, job = study.settings, embed_job(study, spec)
    if settings.engine == "ray":
        return RayActors(job, settings.workers, settings.ray_address)
    start = command_worker(settings.worker_command) if settings.worker_command else start_worker
    return WorkerProcesses(job, study.root / "workers", settings.workers, start)


def embed_job(study: Study, spec: EncoderSpec) -> EmbedJob:
    """What a worker must know to compute a study's vectors.

    Args:
        study: Whose weights and store these are.
        spec: What the vectors are.
    """
    return EmbedJob(
        spec=spec,
        weights=study.checkpoint().facts["path"],
        device=study.settings.device,
        batch_tokens=study.profile.encoder.batch_tokens,
        cpu_threads=study.settings.cpu_threads,
        store=str(study.store_place),
        store_dtype=study.profile.encoder.store_dtype,
        store_cache=str(Path(study.settings.local_dir).resolve()),
    )
