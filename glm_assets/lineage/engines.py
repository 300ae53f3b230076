"""Which engine computes a study's vectors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.embed import Engine, InProcess
from glm_assets.encoders.engines.job import EmbedJob, StoredWeights
from glm_assets.encoders.engines.ray_actors import RayActors
from glm_assets.encoders.engines.worker_processes import StartWorker, WorkerProcesses, command_worker
from glm_assets.errors import SettingsError
from glm_assets.lineage.study import Study
from glm_assets.storage.embeddings import EmbeddingStore


@dataclass(frozen=True)
class OtherEncoder:
    """An encoder that is not the main study's.

    Attributes:
        weights: Its weights file, which all workers must see.
        batch_tokens: Bases in one forward pass.
    """

    weights: Path
    batch_tokens: int


def study_engine(
    study: Study,
    spec: EncoderSpec,
    store: EmbeddingStore,
    start_worker: StartWorker | None = None,
    other: OtherEncoder | None = None,
) -> Engine:
    """The engine that the settings name: this process, worker processes, or actors on a Ray cluster.

    The queue of worker processes is files in the data root, which workers on other machines must see.

    Args:
        study: Whose settings and weights these are.
        spec: What the vectors are.
        store: The study's, open; workers open it for themselves, with the same types.
        start_worker: How to start a worker, where the settings do not say it.
        other: Where the encoder is not the main study's.

    Raises:
        EncoderError: The settings do not say how to start a worker.
        SettingsError: A command would start workers where they cannot see the queue.
    """
    settings, job = study.settings, embed_job(study, spec, store, other)
    if settings.engine == "local":
        # Whoever runs an engine several times loads the encoder once.
        return InProcess(cache(lambda: job.load_checked(store)), store)
    if settings.engine == "ray":
        return RayActors(job, settings.workers, settings.ray_address)
    if study.remote and settings.worker_command:
        raise SettingsError(
            f"GLM_WORKER_COMMAND starts workers elsewhere, which find no queue at {study.remote.url}",
            expected="a data root in a folder that all workers see under the same path",
            fix="set GLM_DATA_ROOT to such a folder (the vectors may stay at a URL: GLM_EMBEDDINGS_URL), set "
            "GLM_ENGINE=ray, or unset GLM_WORKER_COMMAND for workers on this machine's GPUs",
        )
    start = command_worker(settings.worker_command) if settings.worker_command else start_worker
    return WorkerProcesses(job, study.root / "workers", settings.workers, start)


def embed_job(
    study: Study,
    spec: EncoderSpec,
    store: EmbeddingStore | None = None,
    other: OtherEncoder | None = None,
) -> EmbedJob:
    """What a worker must know to compute a study's vectors.

    Args:
        study: Whose weights and store these are.
        spec: What the vectors are.
        store: The study's, which says what types vectors have; by default the profile does.
        other: Where the encoder is not the main study's.
    """
    encoder = study.profile.encoder
    return EmbedJob(
        spec=spec,
        weights=str(other.weights) if other else study.checkpoint().facts["path"],
        stored_weights=None if other else _stored_weights(study),
        device=study.settings.device,
        batch_tokens=other.batch_tokens if other else encoder.batch_tokens,
        cpu_threads=study.settings.cpu_threads,
        store=str(study.store_place),
        store_dtype=store.dtype if store else encoder.store_dtype,
        store_cache=str(Path(study.settings.local_dir).resolve()),
        sequence_dtype=store.sequence_dtype if store else "float32",
    )


def _stored_weights(study: Study) -> StoredWeights | None:
    """Where whoever loads the encoder fetches its weights: 14 GB that a machine without a GPU need not have."""
    root = study.settings.remote_root
    return StoredWeights(root, str(study.root), str(study.checkpoint_folder)) if root else None
