"""The queue in a folder: every shard once, whoever dies."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from glm_assets.encoders.base import Flops
from glm_assets.encoders.engines.job import EmbedJob
from glm_assets.encoders.engines.shard_queue import JOB, ShardQueue, posted
from glm_assets.encoders.shards import ShardReport, embed_shard
from glm_assets.encoders.worker import main, work
from glm_assets.errors import EncoderError, StorageError
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets_tests.encoders.engines.jobs import demo_job, make_shards, published
from glm_assets_tests.encoders.test_embed import CountingEncoder


@pytest.fixture
def encoders(monkeypatch) -> list[CountingEncoder]:
    """A quick encoder in each worker of this process, in the order in which they are loaded."""
    loaded: list[CountingEncoder] = []

    def load(job):
        loaded.append(CountingEncoder())
        return loaded[-1]

    monkeypatch.setattr(EmbedJob, "load", load)
    return loaded


@pytest.fixture
def job(tmp_path) -> EmbedJob:
    return demo_job(CountingEncoder().spec, tmp_path / "weights", tmp_path / "store")


def kill_owner(queue: ShardQueue, claim) -> None:
    """Make a lease look as if its owner had been killed."""
    owner = json.loads(claim.lease.read_text())
    claim.lease.write_text(json.dumps(owner | {"created": 1000.0}))


def test_a_job_survives_its_file(job):
    assert EmbedJob.from_dict(json.loads(json.dumps(job.as_dict()))) == job


def test_workers_side_by_side_compute_every_shard_once(tmp_path, job, encoders):
    shards = make_shards(40)
    queue = ShardQueue.create(tmp_path / "queue", job, shards)
    with ThreadPoolExecutor(3) as pool:
        totals = list(pool.map(work, [queue.folder] * 3))
    assert sum(total["shards"] for total in totals) == len(shards) == 40
    assert sum(total["rows"] for total in totals) == 160
    assert published(tmp_path / "store") == 40
    seen = [window for encoder in encoders for window in encoder.seen if len(window) == 128]  # the probe is longer
    assert len(seen) == len(set(seen)) == 240
    alone = EmbeddingStore(tmp_path / "alone")
    for shard in shards:
        embed_shard(shard, CountingEncoder(), alone)
        found, expected = job.open_store().read(shard["key"]), alone.read(shard["key"])
        assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))
    assert queue.is_finished


def test_each_report_is_told_once(tmp_path, job, encoders):
    queue = ShardQueue.create(tmp_path / "queue", job, make_shards(3))
    assert list(queue.new_reports()) == []
    work(queue.folder)
    reports = list(queue.new_reports())
    assert [(one.rows, one.windows_computed, one.device) for one in reports] == [(4, 6, "none")] * 3
    assert list(queue.new_reports()) == []


def test_a_live_workers_shard_is_left_to_it_and_a_dead_ones_is_done_by_another(tmp_path, job, encoders):
    queue = ShardQueue.create(tmp_path / "queue", job, make_shards(2))
    mine, other = queue.claim(), ShardQueue(queue.folder).claim()
    assert mine
    assert other
    assert mine.name != other.name
    assert queue.claim() is None
    kill_owner(queue, mine)
    kill_owner(queue, other)
    assert work(queue.folder)["shards"] == 2
    assert published(tmp_path / "store") == 2


def test_what_a_dead_worker_had_published_is_not_computed_again(tmp_path, job, encoders):
    queue = ShardQueue.create(tmp_path / "queue", job, make_shards(2))
    claim = queue.claim()
    assert claim
    embed_shard(claim.rows, CountingEncoder(), job.open_store())
    kill_owner(queue, claim)  # between publishing the vectors and reporting them
    assert work(queue.folder) == {"shards": 2, "rows": 8, "windows": 6, "device": "none"}
    assert published(tmp_path / "store") == 2
    assert not {window.decode() for window in encoders[0].seen} & set(claim.rows["ref_seq"])


def test_a_finished_shard_is_never_taken_again(tmp_path, job):
    queue = ShardQueue.create(tmp_path / "queue", job, make_shards(1))
    claim = queue.claim()
    assert claim
    queue.finish(claim, ShardReport(4, 6, 700, Flops(), "none"))
    kill_owner(queue, claim)
    assert queue.claim() is None
    assert ShardQueue(queue.folder).is_finished
    assert [path.name for path in (queue.folder / "leases").iterdir()] == ["00000.0"]


def test_a_shard_that_ends_three_workers_ends_the_job_and_is_named(tmp_path, job, encoders):
    shards = make_shards(2)
    queue = ShardQueue.create(tmp_path / "queue", job, shards)
    for _ in range(3):
        claim = queue.claim()
        assert claim
        assert claim.name == "00000"
        kill_owner(queue, claim)
    with pytest.raises(EncoderError, match=rf"{shards[0]['key'][0]} has ended 3 workers.*Fix: .*batch_tokens"):
        work(queue.folder)
    with pytest.raises(EncoderError, match="has ended 3 workers"):
        queue.raise_failure()
    assert work(queue.folder)["shards"] == 0, "the job has ended for everybody"


def test_an_unexpected_error_leaves_the_shard_to_another_worker_and_is_named_in_the_end(
    tmp_path, job, encoders, monkeypatch
):
    queue = ShardQueue.create(tmp_path / "queue", job, make_shards(1))

    embed_batch = CountingEncoder.embed_batch

    def fail(encoder, windows):
        if windows.shape[1] == 128:  # and not for the probe, which comes before any shard
            raise RuntimeError("CUDA error: uncorrectable ECC error")
        return embed_batch(encoder, windows)

    monkeypatch.setattr(CountingEncoder, "embed_batch", fail)
    for attempt in range(3):
        with pytest.raises(RuntimeError):
            work(queue.folder)
        owner = queue.folder / "leases" / f"00000.{attempt}"
        owner.write_text(json.dumps(json.loads(owner.read_text()) | {"created": 1000.0}))
    with pytest.raises(EncoderError, match=r"has ended 3 workers \(RuntimeError\('CUDA error: uncorrectable ECC"):
        work(queue.folder)


def test_a_workers_error_reaches_the_engine_as_it_was(tmp_path, job):
    queue = ShardQueue.create(tmp_path / "queue", job, make_shards(1))
    queue.raise_failure()
    error = StorageError("the disk is full", expected="10 GB", fix="tidy up")
    ShardQueue(queue.folder).fail(error)
    with pytest.raises(StorageError) as raised:
        queue.raise_failure()
    assert str(raised.value) == str(error)
    assert raised.value.fix == "tidy up"


def test_the_program_ends_with_status_1_and_the_message_where_there_is_no_job(tmp_path, caplog):
    assert main([str(tmp_path / JOB)]) == 1
    assert "cannot be read as a job" in caplog.text
    assert "Fix: start the step first" in caplog.text


def test_a_posted_queue_goes_with_its_block_and_with_a_killed_process(tmp_path, job):
    with posted(tmp_path, job, make_shards(1)) as queue:
        assert not queue.is_abandoned
        with posted(tmp_path, job, make_shards(1)) as other:  # a live neighbour
            assert queue.folder.exists()
        assert not other.folder.exists()
        assert other.is_finished
        left = queue.folder.rename(tmp_path / "left")
        owner = json.loads((left / "engine").read_text())
        (left / "engine").write_text(json.dumps(owner | {"created": 1000.0}))
        assert ShardQueue(left).is_abandoned
    with posted(tmp_path, job, []):
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []
