"""The engine that has shards computed on a Ray cluster.

Actors, with a GPU and a model each, get the next shard when they have finished one. What a dead one had goes to
another.
"""

from __future__ import annotations

import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import polars as pl
import pyarrow as pa

from glm_assets.encoders.device import CPU, resolve_device
from glm_assets.encoders.engines.job import EmbedJob, compute_shard
from glm_assets.encoders.engines.shard_queue import MAX_ATTEMPTS
from glm_assets.encoders.shards import ShardReport
from glm_assets.errors import EncoderError, GlmError
from glm_assets.tracking.secrets import mask, mask_in

# An autoscaler may have to bring up a machine first.
PATIENCE_S = 600.0
_POLL_S = 1.0
_KNOCK_S = 10.0

_log = logging.getLogger(__name__)


class ShardActor:
    """A worker in a Ray actor.

    Args:
        job: What it computes and where that goes.
    """

    def __init__(self, job: EmbedJob) -> None:
        self._job = job

    def place(self) -> None:
        """Answer, which it can as soon as the cluster has room for it."""

    def load(self) -> None:
        """Load the encoder and open the store."""
        self._store = self._job.open_store()
        self._encoder = self._job.load_checked(self._store)

    def compute(self, rows: pa.Table, again: bool) -> ShardReport:
        """Compute a shard.

        Args:
            rows: The shard.
            again: Whether an actor that died had it before.
        """
        return compute_shard(pl.DataFrame(rows), self._encoder, self._store, again=again)


@dataclass(frozen=True)
class RayActors:
    """Actors on a Ray cluster.

    Attributes:
        job: What they compute and where it goes; every node must reach these paths, and have the package installed.
        workers: How many actors; by default one for each GPU of the cluster, or for each node when the device is the
            CPU.
        address: Host and port of the cluster's head; by default a cluster that runs on this machine.
        patience_s: How long to wait for room in the cluster.
    """

    job: EmbedJob
    workers: int | None = None
    address: str | None = None
    patience_s: float = PATIENCE_S

    def run(self, shards: Sequence[pl.DataFrame]) -> Iterator[ShardReport]:
        """See `Engine.run`.

        Raises:
            EncoderError: Ray is not installed, no cluster can be reached or has room, or a shard ends its actors.
            GlmError: The error of an actor.
        """
        if not shards:
            return
        with _cluster(self.address) as ray:
            gpu = resolve_device(self.job.device) != CPU
            _check_device(ray, self.job.device, gpu=gpu)
            # Ray shows an actor its own GPU only.
            job = replace(self.job, device="cuda:0" if gpu else CPU)
            needs = {"num_cpus": 1, "num_gpus": int(gpu)}
            actor = ray.remote(**needs, max_restarts=0, max_task_retries=0)(ShardActor)
            count = min(self.workers or _room(ray, gpu=gpu), len(shards))
            dispatch = _Dispatch(ray, lambda: actor.remote(job), shards, f"{needs}", self.patience_s)
            try:
                yield from dispatch.reports(count)
            finally:
                dispatch.end()


@dataclass
class _Task:
    """A shard, and how many actors it was given to."""

    shard: pl.DataFrame
    attempts: int = 0


@dataclass
class _Call:
    """What an actor was asked: to answer, to load, or to compute a shard."""

    actor: Any
    step: str
    task: _Task | None = None


@dataclass
class _Dispatch:
    """Who computes what. An actor is placed, loads, and then gets one shard after the other."""

    ray: Any
    make_actor: Callable[[], Any]
    shards: Sequence[pl.DataFrame]
    needs: str
    patience_s: float
    _calls: dict[Any, _Call] = field(default_factory=dict)
    _idle: list[Any] = field(default_factory=list)
    _failed_starts: int = 0

    def reports(self, count: int) -> Iterator[ShardReport]:
        """Compute all shards on `count` actors."""
        todo = deque(_Task(shard) for shard in self.shards)
        for _ in range(count):
            self._ask(self.make_actor(), "place")
        left = len(todo)
        while left:
            while todo and self._idle:
                self._ask(self._idle.pop(), "compute", todo.popleft())
            call, answer = self._next()
            if isinstance(answer, Exception):
                self._bury(call, answer)
                if call.task:
                    todo.appendleft(call.task)
                continue
            if call.step == "place":
                self._ask(call.actor, "load")
                continue
            self._idle.append(call.actor)
            self._failed_starts = 0
            if call.task:
                left -= 1
                yield answer

    def end(self) -> None:
        """Free what the actors hold."""
        for actor in [*self._idle, *(call.actor for call in self._calls.values())]:
            self.ray.kill(actor)

    def _ask(self, actor: Any, step: str, task: _Task | None = None) -> None:
        arguments: tuple[Any, ...] = ()
        if task:
            task.attempts += 1
            arguments = task.shard.to_arrow(), task.attempts > 1
        self._calls[getattr(actor, step).remote(*arguments)] = _Call(actor, step, task)

    def _next(self) -> tuple[_Call, Any]:
        """The next call that has ended, and its answer or how the actor died."""
        since = time.monotonic()
        while True:
            ready, _ = self.ray.wait(list(self._calls), num_returns=1, timeout=_POLL_S)
            if ready:
                call = self._calls.pop(ready[0])
                return call, self._answer(ready[0])
            if any(call.step != "place" for call in self._calls.values()):
                since = time.monotonic()
            if time.monotonic() - since > self.patience_s:
                raise EncoderError(
                    f"the Ray cluster has had no room for a worker for {self.patience_s:.0f} s",
                    expected=f"a node with {self.needs}; the cluster has {_resources(self.ray)}",
                    fix="add nodes or wait until others have finished; without GPUs, set GLM_DEVICE=cpu",
                )

    def _answer(self, call: Any) -> Any:
        from ray.exceptions import RayError, RayTaskError

        try:
            return self.ray.get(call)
        except RayTaskError as error:
            if isinstance(error.cause, GlmError):
                raise error.cause from error
            return error  # a broken GPU, say: another actor tries
        except RayError as error:
            return error

    def _bury(self, call: _Call, death: Exception) -> None:
        """Start another actor in the place of a dead one, unless the work is to blame."""
        reason = repr(cause) if (cause := getattr(death, "cause", None)) else str(death).strip().splitlines()[0]
        _log.warning("a Ray worker was lost, another takes its place: %s", death)
        if call.task and call.task.attempts >= MAX_ATTEMPTS:
            key = call.task.shard["key"][0]
            raise EncoderError(
                f"the shard that begins with key {key} has ended {MAX_ATTEMPTS} Ray workers ({reason})",
                fix="look for memory errors in Ray's logs; lower encoder.batch_tokens or shard_rows",
            )
        self.ray.kill(call.actor)  # one that is merely out of reach must not compute on
        self._failed_starts += call.task is None
        if self._failed_starts < MAX_ATTEMPTS:
            self._ask(self.make_actor(), "place")
        elif not self._calls and not self._idle:
            raise EncoderError(
                f"no Ray worker can be started ({reason})",
                expected="nodes with glm_assets installed and memory for the model",
                fix="look at the message above and in Ray's logs",
            )


@contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    """Yield `ray`, connected; a connection that was there before stays."""
    try:
        import ray
    except ImportError as error:
        raise EncoderError("Ray is not installed", fix="pip install 'glm_assets[ray]'") from error
    if ray.is_initialized():
        yield ray
        return
    try:
        knock(address)
        ray.init(address=address or "auto", logging_level=logging.WARNING)
    except (OSError, RuntimeError, ValueError) as error:
        raise EncoderError(
            f"no Ray cluster can be reached ({mask_in(str(error), address or '')})",
            expected=f"a running cluster at {mask(address) if address else 'RAY_ADDRESS, or on this machine'}",
            fix="ray start --head, or set RAY_ADDRESS to the head's host and port",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def knock(address: str | None) -> None:
    """Raise OSError when nobody listens at an address: Ray itself would try for minutes.

    Args:
        address: Host and port, or a URL; anything else, such as `auto`, passes.
    """
    place = urlsplit(address or "") if "://" in (address or "") else urlsplit(f"//{address or ''}")
    if place.hostname and place.port:
        socket.create_connection((place.hostname, place.port), timeout=_KNOCK_S).close()


def _check_device(ray: Any, device: str, *, gpu: bool) -> None:
    if device == "auto" and not gpu and ray.cluster_resources().get("GPU"):
        raise EncoderError(
            "the Ray cluster has GPUs, but this machine has none, so the device `auto` means the CPU",
            fix="set GLM_DEVICE=cuda:0 for vectors from the cluster's GPUs, or GLM_DEVICE=cpu",
        )


def _room(ray: Any, *, gpu: bool) -> int:
    """How many actors the cluster has room for: one a GPU, or one a node with a CPU."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    found = sum(int(node.get("GPU", 0)) for node in nodes) if gpu else sum("CPU" in node for node in nodes)
    return max(1, found)


def _resources(ray: Any) -> str:
    resources = ray.cluster_resources()
    return f"{resources.get('CPU', 0):g} CPUs and {resources.get('GPU', 0):g} GPUs"
