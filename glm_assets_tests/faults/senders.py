"""Processes that record to a tracker, or send what waits, and are killed meanwhile."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

from glm_assets.tracking import MlflowTracker, ModelCard, open_tracker
from glm_assets.tracking.outbox import Outbox

CARD = ModelCard("head", 4, 2, "some.module", ("numpy",))
EPOCHS = 6


def record(run, folder: Path, epochs=range(1, EPOCHS + 1), name: str | None = None) -> str | None:
    """Record what a training does; returns the version of its model."""
    folder.mkdir(parents=True, exist_ok=True)
    run.log_params({"rate": 1e-3, "teacher": None})
    run.log_inputs({"variant_embeddings/21": "f" * 64})
    for epoch in epochs:
        run.log_epoch(epoch, {"val/score": epoch / 10})
    run.log_metrics({"soup/score": 3.5})
    run.set_tags({"parameters": "17"})
    (folder / "history.json").write_text("[1]")
    run.log_artifact(folder / "history.json", "training")
    (folder / "model.safetensors").write_bytes(b"weights")
    return run.register_model(name, [folder / "model.safetensors"], CARD) if name else None


def die_recording(outbox: Path, uri: str, work: Path, name: str) -> None:
    """Record a part and be killed."""
    with open_tracker(uri, "queue", outbox).run(name, tags={}, resume_file=work / "run.json") as run:
        record(run, work, epochs=range(1, 4))
        os.kill(os.getpid(), signal.SIGKILL)


def die_sending(outbox: Path, uri: str, fatal: str) -> None:
    """Send what waits, and be killed as soon as a method of MLflow's client has done its work."""
    from mlflow import MlflowClient

    original = getattr(MlflowClient, fatal)

    def deadly(*arguments, **options):
        original(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(MlflowClient, fatal, deadly)
    Outbox(outbox).send(MlflowTracker(uri))


def status_of(work: Callable[..., None], *arguments: object) -> int | None:
    """Run a function in a process of its own, forked from a server that has the imports done."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([__name__, "mlflow", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store"])
    process = server.Process(target=work, args=arguments)
    process.start()
    process.join(120)
    return process.exitcode
