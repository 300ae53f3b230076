"""Dagster's history on a real PostgreSQL server: opened by many at once, with pools that a killed run cannot keep."""

from __future__ import annotations

import multiprocessing
import subprocess

import dagster as dg
import psutil
import pytest
import sqlalchemy
import yaml
from dagster._core.storage.runs.schema import RunStorageSqlMetadata
from dagster._core.test_utils import create_run_for_test

from glm_assets.defs.ownership import claim_run, release_dead_runs
from glm_assets.defs.server_history import VARIABLE, SharedPostgresStorage
from glm_assets.errors import SettingsError
from glm_assets_tests.conftest import REPOSITORY

HOME = REPOSITORY / "deploy" / "postgres"


def open_storage(url: str) -> SharedPostgresStorage:
    return SharedPostgresStorage.from_config_value(None, {"postgres_url": url})


@pytest.fixture
def instance(postgres, tmp_path, monkeypatch):
    """The shipped configuration on an empty database."""
    monkeypatch.setenv(VARIABLE, postgres.create(tmp_path.name))
    monkeypatch.chdir(tmp_path)
    with dg.DagsterInstance.from_config(str(HOME)) as instance:
        yield instance


def test_the_configuration_is_the_embedded_one_but_for_the_storage():
    shipped = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())
    ours = yaml.safe_load((HOME / "dagster.yaml").read_text())
    assert shipped.pop("storage") != ours.pop("storage")
    assert ours == shipped


@pytest.mark.parametrize(
    "address", ["mysql://glm:sesame@db/x", "glm:sesame@db", "postgresql://glm:sesame@db:port/x"]
)
def test_an_address_that_is_none_of_a_server_is_refused_without_its_password(address):
    with pytest.raises(
        SettingsError, match=f"{VARIABLE}.*postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
    ) as refused:
        open_storage(address)
    assert "sesame" not in str(refused.value)


def test_a_server_that_does_not_answer_is_named_without_the_password():
    with pytest.raises(SettingsError, match=r"no connection to 127\.0\.0\.1:1, database 'x'.*start it") as refused:
        open_storage("postgresql://glm:sesame@127.0.0.1:1/x")
    assert "sesame" not in str(refused.value)


@pytest.mark.system
def test_history_is_kept_on_the_server_and_nothing_of_it_beside_the_configuration(instance, tmp_path, postgres):
    before = {path.name for path in HOME.iterdir()}
    run = create_run_for_test(instance, job_name="embed")
    assert postgres.execute("select run_id from runs", tmp_path.name) == [(run.run_id,)]
    logs = instance.compute_log_manager.get_captured_local_path([run.run_id], "out")
    assert logs.startswith(str(tmp_path / ".dagster/logs"))
    assert {path.name for path in HOME.iterdir()} == before


@pytest.mark.system
def test_a_killed_run_gives_its_slot_back_on_the_server_too(instance):
    storage = instance.event_log_storage
    storage.initialize_concurrency_limit_to_default("gpu")
    run = create_run_for_test(instance, job_name="embed", status=dg.DagsterRunStatus.STARTED)
    claim_run(instance, run.run_id)
    assert storage.claim_concurrency_slot("gpu", run.run_id, "variant_embeddings").is_claimed
    assert release_dead_runs(instance) == []
    with subprocess.Popen(["sleep", "60"]) as process:
        host = instance.get_run_by_id(run.run_id).tags["glm/owner"].split(":")[0]
        owner = f"{host}:{process.pid}:{psutil.Process(process.pid).create_time():.2f}"
        instance.add_run_tags(run.run_id, {"glm/owner": owner})
        process.kill()
    assert release_dead_runs(instance) == [run.run_id]
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
    assert not storage.get_concurrency_info("gpu").active_run_ids


def open_first(url: str, begun, looked, outcomes) -> None:
    """Open an empty database; with the first table made, give the other the time to find it half made."""

    def wait(*_: object, **__: object) -> None:
        begun.set()
        looked.wait(timeout=5)

    first, *_ = RunStorageSqlMetadata.sorted_tables
    sqlalchemy.event.listen(first, "after_create", wait)
    outcomes.put(outcome(url))


def open_second(url: str, begun, looked, outcomes) -> None:
    """Open the database in that moment; the tables are another's to make."""

    def refuse(*_: object, **__: object) -> None:
        looked.set()
        raise RuntimeError("two make the tables")

    for table in RunStorageSqlMetadata.sorted_tables:
        sqlalchemy.event.listen(table, "before_create", refuse)
    begun.wait(timeout=60)
    outcomes.put(outcome(url))


def outcome(url: str) -> str:
    try:
        return f"{len(open_storage(url).run_storage.get_runs())} runs"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the test is about
        return repr(error)


@pytest.mark.system
def test_two_processes_may_be_the_first_to_open_a_database(postgres):
    context = multiprocessing.get_context("fork")
    shared = postgres.create("first"), context.Event(), context.Event(), context.Queue()
    openers = [context.Process(target=target, args=shared) for target in (open_first, open_second)]
    for opener in openers:
        opener.start()
    assert [shared[-1].get(timeout=120) for _ in openers] == ["0 runs", "0 runs"]
    for opener in openers:
        opener.join()
