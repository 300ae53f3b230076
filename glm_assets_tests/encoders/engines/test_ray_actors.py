"""The engine on a real Ray cluster of two worker nodes: the same vectors, also when a node dies."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace

import pytest

from glm_assets.encoders.engines.ray_actors import RayActors
from glm_assets.errors import EncoderError, GlmError
from glm_assets_tests.clusters import ray_cluster
from glm_assets_tests.encoders.conftest import variant_frame
from glm_assets_tests.encoders.engines.jobs import assert_as_in_process, demo_job, embed, make_shards, published

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray")
    with ray_cluster() as cluster:
        yield cluster


@pytest.fixture
def job(tmp_path, spec, weights):
    return demo_job(spec, weights, tmp_path / "store")


def test_the_error_of_an_actor_is_raised_as_it_was(tmp_path, job, cluster):
    lost = replace(job, weights=str(tmp_path / "lost.pt"))
    with pytest.raises(GlmError) as here:
        lost.load()
    with pytest.raises(type(here.value)) as there:
        list(RayActors(lost, address=cluster.address).run(make_shards(1)))
    assert str(there.value) == str(here.value)
    assert "lost.pt" in str(there.value)


def test_an_unexpected_error_is_tried_elsewhere_and_then_named(job, cluster):
    broken = make_shards(1)[0].drop("var_seq")
    with pytest.raises(EncoderError, match=r"has ended 3 Ray workers \(ColumnNotFoundError.*var_seq"):
        list(RayActors(job, address=cluster.address).run([broken]))


def test_a_cluster_with_gpus_is_not_used_as_one_without_by_mistake(job, cluster, monkeypatch):
    import ray

    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0, "GPU": 8.0})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    engine = RayActors(replace(job, device="auto"), address=cluster.address)
    with pytest.raises(EncoderError, match=r"this machine has none.*GLM_DEVICE=cuda:0"):
        list(engine.run(make_shards(1)))


def test_a_cluster_without_room_is_an_error_after_a_while(job, cluster, monkeypatch):
    monkeypatch.setattr("glm_assets.encoders.engines.ray_actors.resolve_device", lambda device: "cuda:0")
    engine = RayActors(job, address=cluster.address, patience_s=2)
    with pytest.raises(EncoderError, match=r"no room.*'num_gpus': 1.*has 2 CPUs and 0 GPUs.*GLM_DEVICE=cpu"):
        list(engine.run(make_shards(1)))


def test_a_cluster_that_is_not_there_is_an_error_at_once(job):
    begin = time.monotonic()
    with pytest.raises(EncoderError, match=r"no Ray cluster.*127\.0\.0\.1:9.*RAY_ADDRESS"):
        list(RayActors(job, address="127.0.0.1:9").run(make_shards(1)))
    assert time.monotonic() - begin < 15


def test_a_shard_that_ends_its_actors_is_named(job, cluster, monkeypatch):
    """An encoder that kills its process, as one does that runs out of memory."""
    import os

    import ray

    from glm_assets.encoders.engines import ray_actors

    class Deadly(ray_actors.ShardActor):
        def compute(self, rows, again):
            os._exit(1)

    shards = make_shards(1)
    monkeypatch.setattr(ray_actors, "ShardActor", Deadly)
    with pytest.raises(EncoderError) as error:
        list(RayActors(job, address=cluster.address).run(shards))
    assert f"begins with key {shards[0]['key'][0]} has ended 3 Ray workers" in str(error.value)
    assert not ray.is_initialized()


def test_a_node_that_dies_costs_one_shard_at_most(tmp_path, job, cluster, caplog):
    """Comes last: a node is gone afterwards."""
    windows = variant_frame(12 * 30, length=256)

    class Killing(RayActors):
        def run(self, shards):
            for number, report in enumerate(super().run(shards)):
                if number == 3:
                    threading.Timer(0.2, cluster.kill_node).start()
                yield report

    with caplog.at_level(logging.WARNING):
        found, report = embed(windows, job, Killing(job, address=cluster.address), 60)
    assert caplog.text.count("a Ray worker was lost") == 1, "so one shard at most was computed twice"
    assert_as_in_process(windows, job, found, tmp_path / "alone", 60)
    assert (report.rows, sum(report.devices.values())) == (720, 12)
    assert published(tmp_path / "store") == 12
