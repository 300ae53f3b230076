"""The engines through Dagster: whichever computes them, the vectors and the product are the same."""

import shutil
import subprocess
import sys
import threading
from dataclasses import replace

import dagster as dg
import numpy as np
import pytest

from glm_assets.defs.pipes import PipesWorker
from glm_assets.encoders.embed import InProcess
from glm_assets.encoders.engines.ray_actors import RayActors
from glm_assets.encoders.engines.shard_queue import JOB, ShardQueue
from glm_assets.encoders.engines.worker_processes import COMMAND, WorkerProcesses
from glm_assets.lineage.embeddings import read_embeddings
from glm_assets.lineage.engines import embed_job, study_engine
from glm_assets.lineage.study import Study
from glm_assets.storage.tables import read_part
from glm_assets_tests.clusters import ray_cluster
from glm_assets_tests.defs.conftest import open_lineage
from glm_assets_tests.encoders.engines.jobs import make_shards, published
from glm_assets_tests.lineage.studies import tiny_study


@pytest.fixture(scope="module")
def local(tmp_path_factory, tiny_tree):
    """A lineage up to the windows of chromosome 21, its folder, and the vectors as one process computes them."""
    folder = tmp_path_factory.mktemp("engines")
    with dg.DagsterInstance.ephemeral() as instance:
        lineage = open_lineage(folder, tiny_tree, instance)
        lineage.run("clinvar_release", "reference_genome", "glm_checkpoint", "test_sequences")
        lineage.run("clinvar_variants", "variant_windows", "variant_embeddings", partition="21")
        lineage.run("test_embeddings")
        facts = lineage.study.variant_embeddings("21").current().facts
        yield lineage, folder, read_embeddings(lineage.study, "21"), facts


def embed_again(local, tiny_tree, **settings) -> tuple[Study, list[str]]:
    """Lose all vectors and have them computed by another engine; returns the study and the log's lines."""
    lineage, folder, vectors, facts = local
    shutil.rmtree(lineage.study.root / "embeddings")
    shutil.rmtree(lineage.study.tables / "variant_embeddings")
    shutil.rmtree(lineage.study.tables / "test_embeddings")
    other = open_lineage(folder, tiny_tree, lineage.instance, **settings)
    result = other.run("variant_embeddings", partition="21")
    assert result.success
    assert other.run("test_embeddings").success
    found = read_embeddings(other.study, "21")
    assert all(np.array_equal(one, expected) for one, expected in zip(found, vectors, strict=True))
    again = other.study.variant_embeddings("21").current().facts
    for name in ("rows", "windows_computed", "tokens_computed", "distinct_references", "tflop", "device"):
        assert again[name] == facts[name], name
    records = lineage.instance.all_logs(result.run_id)
    return other.study, [record.user_message for record in records]


def test_the_settings_choose_the_engine(lineage, tmp_path):
    study = lineage.study
    job = embed_job(study, study.encoder_spec)
    assert job.spec == study.encoder_spec
    keys = read_part(study.variant_embeddings("21").folder, ["key"])["key"]
    assert not job.open_store().missing(keys).any()
    assert isinstance(study_engine(study, study.encoder_spec, study.store()), InProcess)
    several = tiny_study(tmp_path, "unused", engine="workers")
    several.checkpoint = study.checkpoint
    assert isinstance(study_engine(several, study.encoder_spec, study.store()), WorkerProcesses)
    distant = tiny_study(tmp_path, "unused", engine="ray", workers=3, ray_address="head:6379")
    distant.checkpoint = study.checkpoint
    engine = study_engine(distant, study.encoder_spec, study.store())
    assert isinstance(engine, RayActors)
    assert (engine.workers, engine.address) == (3, "head:6379")


@pytest.mark.system
def test_worker_processes(local, tiny_tree):
    study, lines = embed_again(local, tiny_tree, engine="workers", workers=2)
    assert list((study.root / "workers").iterdir()) == []
    assert any(" variants, " in line and line.endswith("0 s left") for line in lines)


@pytest.mark.system
def test_workers_through_pipes_log_into_the_run(local, tiny_tree):
    _, lines = embed_again(local, tiny_tree, engine="pipes", workers=2)
    assert sum("encoder demo is loaded on cpu" in line for line in lines) == 2
    done = [line for line in lines if line.startswith("shard 0") and "is done" in line]
    assert len({line.split()[1] for line in done}) == len(done) > 1


def test_a_pipes_worker_is_watched_like_a_process(tmp_path):
    ended = threading.Event()
    worker = PipesWorker(ended.wait, tmp_path / "log")
    assert worker.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(0.01)
    ended.set()
    assert worker.wait() == worker.poll() == 0

    def fail():
        raise RuntimeError("no such image")

    failed = PipesWorker(fail, tmp_path / "log")
    assert failed.wait() == 1
    assert (tmp_path / "log").read_text() == "no such image\n"


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray")
    with ray_cluster(dashboard=True) as cluster:
        yield cluster


@pytest.mark.system
def test_ray_actors(local, tiny_tree, cluster):
    embed_again(local, tiny_tree, engine="ray", ray_address=cluster.address)


def queue_of(local, tmp_path) -> ShardQueue:
    """A queue of three shards for a worker that is started by hand."""
    study = local[0].study
    job = replace(embed_job(study, study.encoder_spec), store=str(tmp_path / "store"), device="cpu")
    return ShardQueue.create(tmp_path / "queue", job, make_shards(3))


def run_alone(asset, client) -> dict:
    """Metadata of an asset that is materialised alone."""
    result = dg.materialize([asset], resources={"client": client})
    assert result.success
    (event,) = result.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


@pytest.mark.system
def test_the_same_worker_as_a_pipes_subprocess(local, tmp_path):
    queue = queue_of(local, tmp_path)

    @dg.asset
    def vectors(context: dg.AssetExecutionContext, client: dg.ResourceParam[dg.PipesSubprocessClient]):
        done = client.run(context=context, command=[*COMMAND, str(queue.folder / JOB)])
        return dg.MaterializeResult(metadata=done.get_custom_messages()[0])

    metadata = run_alone(vectors, dg.PipesSubprocessClient())
    assert metadata == {"shards": 3, "rows": 12, "windows": 18, "device": "cpu"}
    assert published(tmp_path / "store") == 3


@pytest.mark.system
def test_the_same_worker_as_a_ray_job(local, tmp_path, cluster, repository):
    from dagster_ray import PipesRayJobClient

    queue = queue_of(local, tmp_path)

    @dg.asset
    def vectors(context: dg.AssetExecutionContext, client: dg.ResourceParam[PipesRayJobClient]):
        entrypoint = f"{sys.executable} -m glm_assets.encoders.worker {queue.folder / JOB}"
        done = client.run(context=context, submit_job_params={"entrypoint": entrypoint, "entrypoint_num_cpus": 1})
        return dg.MaterializeResult(metadata=done.get_custom_messages()[0])

    metadata = run_alone(vectors, PipesRayJobClient(address=cluster.dashboard))
    assert metadata == {"shards": 3, "rows": 12, "windows": 18, "device": "cpu"}
    assert published(tmp_path / "store") == 3
