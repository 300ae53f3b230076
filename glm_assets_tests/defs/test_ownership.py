"""A run whose process was killed leaves nothing behind: its pool slots come free and its steps end."""

from __future__ import annotations

import itertools
import socket
import subprocess
import threading
import time

import dagster as dg
import polars as pl
import psutil
import pytest
from dagster._core.test_utils import create_run_for_test
from sqlalchemy.exc import OperationalError

from glm_assets.defs import ownership
from glm_assets.defs.ownership import claim_run, end_with_parent, release_dead_runs, releasing_dead_runs
from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.variants import make_clinvar_variants, make_variant_windows
from glm_assets.profiles.profile import read_profile
from glm_assets_tests.checkouts import make_checkout, wait_until
from glm_assets_tests.defs.databases import ABSENT
from glm_assets_tests.encoders.engines.jobs import published
from glm_assets_tests.lineage.studies import tiny_study

POOL = "gpu"


@pytest.fixture
def instance(tmp_path):
    """A persistent instance whose pool admits one step."""
    pools = {"concurrency": {"pools": {"granularity": "op", "default_limit": 1}}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=pools) as instance:
        instance.event_log_storage.initialize_concurrency_limit_to_default(POOL)
        yield instance


@pytest.fixture
def stopped() -> str:
    """Tag value of an owner on this host that has ended."""
    with subprocess.Popen(["sleep", "60"]) as process:
        owner = owner_of(process.pid)
        process.kill()
    return owner


def owner_of(pid: int, *, host: str | None = None, older_by: float = 0.0) -> str:
    return f"{host or socket.gethostname()}:{pid}:{psutil.Process(pid).create_time() - older_by:.2f}"


def running(instance, owner: str | None) -> str:
    """A started run that claims the pool; returns its id."""
    tags = {"glm/owner": owner} if owner else {}
    run = create_run_for_test(instance, job_name="embed", status=dg.DagsterRunStatus.STARTED, tags=tags)
    claims_slot(instance, run.run_id)
    return run.run_id


def claims_slot(instance, run_id: str) -> bool:
    """Ask for a slot of the pool, as an executor does again and again."""
    return instance.event_log_storage.claim_concurrency_slot(POOL, run_id, "variant_embeddings").is_claimed


def holders(instance) -> tuple[set[str], set[str]]:
    """Runs that hold a slot of the pool, and runs that wait for one."""
    info = instance.event_log_storage.get_concurrency_info(POOL)
    return info.active_run_ids, info.pending_run_ids


def status(instance, run_id: str) -> dg.DagsterRunStatus:
    return instance.get_run_by_id(run_id).status


def test_runs_whose_process_is_gone_fail_and_the_slot_goes_to_the_next_living_one(instance, stopped):
    holding, waiting = running(instance, stopped), running(instance, stopped)
    living = running(instance, owner_of(psutil.Process().pid))
    assert holders(instance) == ({holding}, {waiting, living})
    assert not claims_slot(instance, living)
    assert set(release_dead_runs(instance)) == {holding, waiting}
    assert status(instance, holding) == status(instance, waiting) == dg.DagsterRunStatus.FAILURE
    assert claims_slot(instance, living)
    assert holders(instance) == ({living}, set())
    assert release_dead_runs(instance) == []


@pytest.mark.parametrize("whose", ["living", "other host", "nobody"])
def test_a_run_that_may_live_is_left_alone(instance, stopped, whose):
    here = psutil.Process().pid
    _, pid, created = stopped.split(":")
    owner = {"living": owner_of(here), "other host": f"elsewhere:{pid}:{created}", "nobody": None}[whose]
    run_id = running(instance, owner)
    assert release_dead_runs(instance) == []
    assert status(instance, run_id) == dg.DagsterRunStatus.STARTED
    assert holders(instance) == ({run_id}, set())


def test_a_process_that_took_over_the_id_of_a_dead_one_is_not_the_owner(instance):
    dead = running(instance, owner_of(psutil.Process().pid, older_by=60))
    assert release_dead_runs(instance) == [dead]
    assert status(instance, dead) == dg.DagsterRunStatus.FAILURE


def test_slots_that_a_finished_or_deleted_run_left_are_freed(instance):
    finished = running(instance, None)
    instance.report_run_canceled(instance.get_run_by_id(finished))
    assert release_dead_runs(instance) == [finished]
    assert status(instance, finished) == dg.DagsterRunStatus.CANCELED
    deleted = running(instance, None)
    instance.run_storage.delete_run(deleted)
    assert release_dead_runs(instance) == [deleted]
    assert holders(instance) == (set(), set())


def test_a_claimed_run_belongs_to_this_process(instance):
    run_id = running(instance, None)
    claim_run(instance, run_id)
    assert instance.get_run_by_id(run_id).tags["glm/owner"] == owner_of(psutil.Process().pid)
    assert release_dead_runs(instance) == []


BUSY = OperationalError("select", {}, Exception("database is locked"))


def busy_at_first(look, error: Exception):
    """A search for dead runs whose second call meets a busy database."""
    calls = itertools.count()

    def search(instance):
        if next(calls) == 1:
            raise error
        return look(instance)

    return search


@pytest.mark.parametrize("error", [BUSY, ABSENT], ids=["busy", "absent"])
def test_a_run_that_dies_while_another_waits_is_released_even_if_the_database_was_away(
    instance, monkeypatch, error
):
    monkeypatch.setattr(ownership, "_INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(ownership, "release_dead_runs", busy_at_first(release_dead_runs, error))
    with subprocess.Popen(["sleep", "60"]) as process:
        run_id = running(instance, owner_of(process.pid))
        with releasing_dead_runs(instance):
            assert status(instance, run_id) == dg.DagsterRunStatus.STARTED
            process.kill()
            process.wait()
            wait_until(
                lambda: status(instance, run_id) == dg.DagsterRunStatus.FAILURE, "the run fails", seconds=30
            )
    assert holders(instance) == (set(), set())


def test_outside_a_child_process_nothing_watches_the_parent():
    end_with_parent()
    assert "end-with-parent" not in {thread.name for thread in threading.enumerate()}


EMBED = "dagster asset materialize -m glm_assets.definitions --select variant_embeddings --partition"


@pytest.fixture
def ready(tmp_path, tiny_tree, monkeypatch):
    """A checkout whose windows are made and whose embeddings take many small shards, and its study."""
    encoder = read_profile("demo")["encoder"] | {"shard_rows": 2, "batch_tokens": 1024}
    study = tiny_study(
        tmp_path, tiny_tree, profile={"encoder": encoder, "windows": {"length": 512, "anchor": 256}}
    )
    make_clinvar_release(study, str)
    make_reference_genome(study, str)
    make_glm_checkpoint(study, str)
    for chrom in study.profile.chromosomes:
        make_clinvar_variants(study, chrom)
        make_variant_windows(study, chrom)
    settings = {name: str(getattr(study.settings, name)) for name in ("profile", "data_root", "ncbi_url")}
    checkout = make_checkout(tmp_path, {f"GLM_{name.upper()}": value for name, value in settings.items()})
    monkeypatch.chdir(checkout.folder)  # the storage paths of dagster.yaml are relative
    with dg.DagsterInstance.from_config(str(checkout.folder)) as instance:
        yield checkout, study, instance


def shards(study) -> int:
    return published(study.root / "embeddings")


def freeze_in_the_middle(study, process) -> list[psutil.Process]:
    """Stop a command's children once a first shard is there; gives them. What follows can take its time then."""
    wait_until(lambda: shards(study) > 0, "a first shard", pause=0.005)
    children = psutil.Process(process.pid).children(recursive=True)
    for child in children:
        child.suspend()
    assert study.variant_embeddings("21").current() is None
    return children


def kill_alone(process, children: list[psutil.Process]) -> None:
    """Kill a command as nothing can prevent it, but none of its children, and let those go on."""
    process.kill()
    process.wait()
    for child in children:
        child.resume()


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # a container may have nobody who reaps orphans
    except psutil.NoSuchProcess:
        return False


def step_started(instance, partition: str) -> float:
    """When the newest run of a partition began to embed; 0 before it does."""
    runs = instance.get_runs(dg.RunsFilter(tags={"dagster/partition": partition}), limit=1)
    if not runs:
        return 0.0
    records = instance.get_records_for_run(runs[0].run_id, of_type=dg.DagsterEventType.STEP_START).records
    return records[0].event_log_entry.timestamp if records else 0.0


def assert_no_vector_was_computed_twice(study) -> None:
    indexes = (study.root / "embeddings").glob("[!.]*.parquet")
    keys = pl.concat([pl.read_parquet(index) for index in indexes])["key"]
    assert keys.is_unique().all()


@pytest.mark.system
def test_a_killed_command_takes_its_steps_along_and_the_next_one_goes_on_where_it_was(ready):
    checkout, study, instance = ready
    with checkout.start(f"{EMBED} 21") as process:
        children = freeze_in_the_middle(study, process)
        done = shards(study)
        assert holders(instance)[0]
        kill_alone(process, children)
        wait_until(lambda: not any(is_alive(child) for child in children), "the orphans end", seconds=20)
    assert shards(study) <= done + 1
    assert study.variant_embeddings("21").current() is None
    (killed,) = instance.get_runs()
    assert (killed.status, holders(instance)[0]) == (dg.DagsterRunStatus.STARTED, {killed.run_id})

    begin = time.time()
    checkout.run(f"{EMBED} 21")
    assert step_started(instance, "21") - begin < 60
    assert status(instance, killed.run_id) == dg.DagsterRunStatus.FAILURE
    assert holders(instance) == (set(), set())
    manifest = study.require(study.variant_embeddings("21"))
    assert manifest.facts["cache_hits"] >= 2 * done > 0
    assert_no_vector_was_computed_twice(study)


@pytest.mark.system
def test_a_command_that_waits_for_the_pool_goes_on_when_the_one_before_it_is_killed(ready):
    checkout, study, instance = ready
    with checkout.start(f"{EMBED} 21") as first:
        children = freeze_in_the_middle(study, first)
        with checkout.start(f"{EMBED} 22") as second:
            wait_until(lambda: holders(instance)[1], "the second command waits for the pool")
            time.sleep(5)
            assert step_started(instance, "22") == 0
            killed_at = time.time()
            kill_alone(first, children)
            assert second.wait(timeout=300) == 0
    assert 0 < step_started(instance, "22") - killed_at < 60
    assert study.variant_embeddings("22").current()
    assert holders(instance) == (set(), set())
