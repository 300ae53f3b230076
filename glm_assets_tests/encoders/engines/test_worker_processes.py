"""The engine of worker processes: the same vectors, whoever is killed, and errors that a person understands."""

from __future__ import annotations

import json
import logging
import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from glm_assets.encoders.engines import worker_processes
from glm_assets.encoders.engines.shard_queue import ShardQueue
from glm_assets.encoders.engines.worker_processes import WorkerProcesses, command_worker, local_worker
from glm_assets.errors import EncoderError, GlmError, StorageError
from glm_assets_tests.encoders.conftest import variant_frame
from glm_assets_tests.encoders.engines.jobs import assert_as_in_process, demo_job, embed, make_shards, published

MODULE = "glm_assets.encoders.worker"


@pytest.fixture
def job(tmp_path, spec, weights):
    return demo_job(spec, weights, tmp_path / "store")


def worker_ids(root: int | None = None) -> list[int]:
    """Worker processes below a process, this one by default."""
    found = []
    for process in psutil.Process(root).children(recursive=True):
        if process.status() != psutil.STATUS_ZOMBIE and MODULE in process.cmdline():
            found.append(process.pid)
    return found


def test_two_workers_give_the_vectors_of_one_process(tmp_path, job):
    windows = variant_frame(16)
    found, report = embed(windows, job, WorkerProcesses(job, tmp_path / "scratch", 2), 4)
    assert_as_in_process(windows, job, found, tmp_path / "alone", 4)
    assert (report.rows, report.windows_computed, report.devices) == (32, 48, {"cpu": 8})
    assert published(tmp_path / "store") == 8
    assert list((tmp_path / "scratch").iterdir()) == []
    assert worker_ids() == []


def test_where_nothing_is_missing_no_worker_is_started(tmp_path, job):
    def start(*arguments):
        pytest.fail("a worker was started")

    assert list(WorkerProcesses(job, tmp_path / "scratch", 2, start).run([])) == []


def test_a_users_command_starts_the_workers(tmp_path, job):
    windows = variant_frame(4)
    command = f"env -u CUDA_VISIBLE_DEVICES {shlex.quote(sys.executable)} -m {MODULE} {{job}}"
    engine = WorkerProcesses(job, tmp_path / "a folder", 1, command_worker(command))
    found, _ = embed(windows, job, engine, 4)
    assert_as_in_process(windows, job, found, tmp_path / "alone", 4)


def test_an_error_of_a_worker_is_raised_as_it_was(tmp_path, job):
    lost = replace(job, weights=str(tmp_path / "lost.pt"))
    with pytest.raises(GlmError) as here:
        lost.load()
    with pytest.raises(type(here.value)) as there:
        list(WorkerProcesses(lost, tmp_path / "scratch", 1).run(make_shards(1)))
    assert str(there.value) == str(here.value)
    assert "lost.pt" in str(there.value)


FULL = r"no room for a shard.* bytes are needed.*Fix: free space"


@pytest.mark.system
def test_a_full_disk_of_a_worker_is_explained_and_the_next_run_goes_on(tmp_path, job):
    windows, engine = variant_frame(400), WorkerProcesses(job, tmp_path / "scratch", 1)
    limited = f'ulimit -f 16; exec {shlex.quote(sys.executable)} -m {MODULE} "$0"'
    start = command_worker(f"sh -c {shlex.quote(limited)} {{job}}")
    with pytest.raises(StorageError, match=FULL):
        embed(windows, job, replace(engine, start=start), 400)
    assert published(tmp_path / "store") == 0
    found, _ = embed(windows, job, engine, 400)
    assert_as_in_process(windows, job, found, tmp_path / "alone", 400)


def test_a_disk_too_full_for_the_queue_is_explained_and_nothing_is_left(tmp_path, job):
    engine = WorkerProcesses(job, tmp_path / "scratch", 1)
    with small_files(5_000), pytest.raises(StorageError, match=FULL):
        list(engine.run(make_shards(1, 100)))
    assert list((tmp_path / "scratch").iterdir()) == []


@contextmanager
def small_files(limit: int):
    """No file of this process grows beyond a size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_workers_that_always_die_are_given_up_with_their_last_words(tmp_path, job, caplog):
    command = "sh -c 'echo the driver is broken; exit 3' {job}"
    engine = WorkerProcesses(job, tmp_path / "scratch", 2, command_worker(command))
    with pytest.raises(EncoderError, match=r"all 2 workers have died 4 times each[\s\S]*the driver is broken"):
        list(engine.run(make_shards(2)))
    assert caplog.text.count("ended with status 3 and is started again: the driver is broken") == 6
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_worker_that_died_is_started_again(tmp_path, job, caplog):
    starts = []

    def start(arguments, log):
        starts.append(arguments)
        return local_worker(arguments, log) if len(starts) == 3 else subprocess.Popen(["false"])

    assert len(list(WorkerProcesses(job, tmp_path / "scratch", 1, start).run(make_shards(2)))) == 2
    assert len(starts) == caplog.text.count("is started again") + 1 == 3


@pytest.mark.parametrize("command", ["python -m worker", ""])
def test_a_command_without_a_place_for_the_job_is_refused(command):
    with pytest.raises(EncoderError, match=r"\{job\} in it.*GLM_WORKER_COMMAND"):
        command_worker(command)


def test_a_command_that_does_not_exist_is_named(tmp_path, job):
    with pytest.raises(EncoderError, match=r"no-such-program.*GLM_WORKER_COMMAND"):
        list(WorkerProcesses(job, tmp_path / "s", 1, command_worker("no-such-program {job}")).run(make_shards(1)))


@pytest.mark.parametrize(
    ("device", "started"),
    [
        ("auto", {("cuda:0", "--gpu", "4"), ("cuda:0", "--gpu", "7")}),
        ("cpu", {("cpu",)}),
        ("cuda:1", {("cuda:1",)}),
    ],
)
def test_each_gpu_gets_a_worker_that_sees_it_alone(tmp_path, job, monkeypatch, device, started):
    """The workers here run on the CPU; what they would have been told is noted."""
    told = set()

    def start(arguments, log):
        told.add((ShardQueue(Path(arguments[0]).parent).job.device, *arguments[1:]))
        return subprocess.Popen(["true"])

    monkeypatch.setattr(worker_processes, "visible_gpus", lambda: ["4", "7"])
    monkeypatch.setattr(worker_processes, "resolve_device", lambda name: "cuda:0" if name == "auto" else name)
    engine = WorkerProcesses(replace(job, device=device), tmp_path / "scratch", start=start)

    def stop(slots):
        raise KeyboardInterrupt

    monkeypatch.setattr(worker_processes, "_tend", stop)
    with pytest.raises(KeyboardInterrupt):
        list(engine.run(make_shards(3)))
    assert told == started


@pytest.mark.system
def test_a_killed_worker_costs_one_shard_at_most(tmp_path, job, caplog):
    windows = variant_frame(12 * 30, length=256)

    class Killing(WorkerProcesses):
        def run(self, shards):
            for number, report in enumerate(super().run(shards)):
                yield report
                if number == 2:
                    os.kill(worker_ids()[0], signal.SIGKILL)
                leases = [path.suffix for path in self.scratch.glob("*/leases/*")]
            assert leases.count(".0") == len(shards) == 12
            assert len(leases) - 12 <= 1, "more than one shard was given out twice"

    with caplog.at_level(logging.WARNING):
        found, report = embed(windows, job, Killing(job, tmp_path / "scratch", 2), 60)
    assert_as_in_process(windows, job, found, tmp_path / "alone", 60)
    assert caplog.text.count("ended with status -9 and is started again") == 1
    assert (report.rows, sum(report.devices.values())) == (720, 12)
    assert published(tmp_path / "store") == 12


ENGINE = """
import json, sys
from pathlib import Path
from glm_assets.encoders.engines.job import EmbedJob
from glm_assets.encoders.engines.shard_queue import ShardQueue
from glm_assets.encoders.engines.worker_processes import WorkerProcesses
from glm_assets_tests.encoders.engines.jobs import make_shards
job = EmbedJob.from_dict(json.loads(sys.argv[1]))
for report in WorkerProcesses(job, Path(sys.argv[2]), 1).run(make_shards(2000, 16)):
    print("done", flush=True)
"""


@pytest.mark.system
def test_workers_end_soon_after_their_engine_was_killed_and_the_next_run_goes_on(tmp_path, job, repository):
    environment = os.environ | {"PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", ENGINE, json.dumps(job.as_dict()), str(tmp_path / "scratch")]
    engine = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    assert engine.stdout
    engine.stdout.readline()
    (worker,) = worker_ids(engine.pid)
    os.kill(engine.pid, signal.SIGKILL)
    engine.wait()
    deadline = time.monotonic() + 10
    while psutil.pid_exists(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not psutil.pid_exists(worker)
    kept = published(tmp_path / "store")
    assert kept
    shards = make_shards(kept + 2, 16)
    todo = [shard for shard in shards if job.open_store().missing(shard["key"]).any()]
    assert len(list(WorkerProcesses(job, tmp_path / "scratch", 1).run(todo))) == len(todo)
    assert published(tmp_path / "store") == kept + len(todo)
    assert list((tmp_path / "scratch").iterdir()) == [], "the killed engine's queue is gone too"
