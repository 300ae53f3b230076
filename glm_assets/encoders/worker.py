"""The worker: a plain program that loads an encoder once and computes shards until there are none left.

    python -m glm_assets.encoders.worker <folder of a job>/job.json

It knows nothing of who started it: a process of this machine, a Ray job, a Kubernetes pod or a Slurm task. Started
through Dagster Pipes it reports there, else to the standard error.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glm_assets.encoders.base import Encoder
from glm_assets.encoders.device import show_gpu
from glm_assets.encoders.engines.job import compute_shard
from glm_assets.encoders.engines.leases import Heartbeat
from glm_assets.encoders.engines.shard_queue import Claim, ShardQueue
from glm_assets.encoders.shards import ShardReport
from glm_assets.errors import GlmError
from glm_assets.storage.embeddings import EmbeddingStore

_POLL_S = 0.2
_FORMAT = "%(asctime)s %(levelname)s %(message)s"

_log = logging.getLogger("glm_assets.worker")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker to the end of its job.

    Args:
        arguments: Of the command line.

    Returns:
        The exit status: 0 when every shard is done, 1 after an error.
    """
    parser = argparse.ArgumentParser(
        prog="python -m glm_assets.encoders.worker", description="Embed a job's shards."
    )
    parser.add_argument("job", type=Path, help="the job's file, in a folder that all its workers share")
    parser.add_argument("--gpu", help="the one GPU to use, as CUDA_VISIBLE_DEVICES names it")
    options = parser.parse_args(arguments)
    logging.basicConfig(format=_FORMAT, stream=sys.stderr)
    logging.getLogger("glm_assets").setLevel(logging.INFO)
    if options.gpu is not None:
        show_gpu(options.gpu)
    try:
        with _reporting() as report:
            report(work(options.job.resolve().parent))
    except GlmError as error:
        _log.error("%s", error)
        return 1
    return 0


def work(folder: Path) -> dict[str, Any]:
    """Compute shards of a job until all are done, whoever did them.

    Args:
        folder: Of the job.

    Returns:
        How many shards, rows and windows this worker computed, and on which device.

    Raises:
        GlmError: The job cannot be read, the encoder cannot be loaded, or a shard cannot be computed; the job ends
            with that.
    """
    queue = ShardQueue(folder)
    try:
        return _work(queue)
    except GlmError as error:
        queue.fail(error)
        raise


def _work(queue: ShardQueue) -> dict[str, Any]:
    totals = {"shards": 0, "rows": 0, "windows": 0, "device": None}
    with Heartbeat(beat=lambda: _end_if_abandoned(queue)) as heartbeat:
        if queue.is_finished:
            return totals
        store = queue.job.open_store()
        encoder = queue.job.load_checked(store)
        _log.info("encoder %s is loaded on %s", encoder.spec.name, encoder.device_name)
        totals["device"] = encoder.device_name
        while not queue.is_finished:
            claim = queue.claim()
            if claim is None:  # others have the rest; one of them may die
                time.sleep(_POLL_S)
                continue
            heartbeat.lease = claim.lease
            report = _compute(queue, claim, encoder, store)
            queue.finish(claim, report)
            heartbeat.lease = None
            totals["shards"] += 1
            totals["rows"] += report.rows
            totals["windows"] += report.windows_computed
            _log.info(
                "shard %s is done, %d of this worker and %d rows", claim.name, totals["shards"], totals["rows"]
            )
    return totals


def _compute(queue: ShardQueue, claim: Claim, encoder: Encoder, store: EmbeddingStore) -> ShardReport:
    try:
        return compute_shard(claim.rows, encoder, store, again=claim.again)
    except GlmError:
        raise
    except Exception as error:  # a broken GPU, say: this worker ends, and another tries
        queue.note(claim, error)
        raise


def _end_if_abandoned(queue: ShardQueue) -> None:
    """Free the GPU at once when nobody awaits the results: the next run is about to use it."""
    if queue.is_abandoned:
        _log.warning("the process that awaited the results has ended")
        os._exit(1)


@contextmanager
def _reporting() -> Iterator[Any]:
    """Yield what takes the totals; with Dagster Pipes they, the log and an error go there."""
    from dagster_pipes import PipesEnvVarParamsLoader, open_dagster_pipes

    if not PipesEnvVarParamsLoader().is_dagster_pipes_process():
        yield lambda totals: _log.info("finished: %s", totals)
        return
    with open_dagster_pipes() as pipes:
        logging.getLogger("glm_assets").handlers = list(pipes.log.handlers)
        yield pipes.report_custom_message


if __name__ == "__main__":
    sys.exit(main())
