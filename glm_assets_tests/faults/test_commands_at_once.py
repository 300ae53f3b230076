"""Commands that run at the same time: on a fresh checkout, on four chromosomes, on the same one."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest
import yaml

from glm_assets_tests.checkouts import make_checkout
from glm_assets_tests.conftest import REPOSITORY
from glm_assets_tests.faults.kills import STAGES
from glm_assets_tests.lineage.studies import tiny_environment, tiny_study

COMMAND = "dagster asset materialize -m glm_assets.definitions --select"
OPENERS = 8


def open_together(folder: str, together) -> None:
    """Open the instance of a folder as a command does there, all at once."""
    os.chdir(folder)  # the storage paths of dagster.yaml are relative
    together.wait(60)
    with dg.DagsterInstance.from_config(folder) as instance:
        assert instance.get_runs(limit=1) == []


def statuses_of_openers(folder: Path) -> list[int | None]:
    """How processes end that are the first to open an instance."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([__name__, "dagster._core.storage.sqlite_storage"])
    together = server.Barrier(OPENERS)
    openers = [server.Process(target=open_together, args=(str(folder), together)) for _ in range(OPENERS)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join(120)
    return [opener.exitcode for opener in openers]


@pytest.mark.system
@pytest.mark.parametrize("attempt", range(3))
def test_commands_that_are_the_first_in_a_fresh_checkout_all_open_its_history(tmp_path, attempt):
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
    assert statuses_of_openers(tmp_path) == [0] * OPENERS


def test_the_shipped_history_is_the_one_that_can_be_opened_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
    storage = yaml.safe_load((tmp_path / "dagster.yaml").read_text())["storage"]["custom"]
    assert (storage["module"], storage["class"]) == ("glm_assets.defs.history", "SharedSqliteStorage")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("releases", ["one"])
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.get_dynamic_partitions("releases") == ["one"]
    assert (tmp_path / ".dagster" / "storage" / "history" / "runs.db").is_file()


@pytest.fixture
def fresh(tmp_path, tiny_tree):
    """A checkout in which no command has run yet, and its study with the release and the reference."""
    environment = tiny_environment(tmp_path, tiny_tree)
    checkout = make_checkout(tmp_path, environment)
    study = tiny_study(tmp_path, tiny_tree)
    STAGES["clinvar_release"].make(study)
    STAGES["reference_genome"].make(study)
    return checkout, study


def variants(study, chrom: str) -> pl.DataFrame:
    return pl.read_parquet(study.clinvar_variants(chrom).folder / "part.parquet")


@pytest.mark.system
def test_four_commands_at_once_on_a_fresh_checkout_all_do_their_part(
    fresh, tmp_path_factory, tiny_tree, monkeypatch
):
    """Two chromosomes, two commands each: the second on a chromosome finds what the first has made."""
    checkout, study = fresh
    with ExitStack() as stack:
        commands = [
            stack.enter_context(checkout.start(f"{COMMAND} clinvar_variants,variant_windows --partition {chrom}"))
            for chrom in ("21", "22", "21", "22")
        ]
        assert [command.wait(timeout=400) for command in commands] == [0, 0, 0, 0]
    alone = tiny_study(tmp_path_factory.mktemp("alone"), tiny_tree)
    for stage in ("clinvar_release", "reference_genome"):
        STAGES[stage].make(alone)
    for chrom in ("21", "22"):
        STAGES[f"clinvar_variants/{chrom}"].make(alone)
        STAGES[f"variant_windows/{chrom}"].make(alone)
        assert variants(study, chrom).equals(variants(alone, chrom))
        found, expected = (one.variant_windows(chrom).current() for one in (study, alone))
        assert found.data_version == expected.data_version
    with duckdb.connect(str(study.warehouse), read_only=True) as warehouse:
        shown = warehouse.sql("select distinct chrom from variant_windows order by 1").fetchall()
    assert shown == [("21",), ("22",)]
    monkeypatch.chdir(checkout.folder)
    with dg.DagsterInstance.from_config(str(checkout.folder)) as instance:
        made = instance.fetch_materializations(dg.AssetKey("variant_windows"), limit=10).records
        assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}
    reused = [record.asset_materialization.metadata["reused"].value for record in made]
    assert sorted(reused) == [False, False, True, True]
