"""Old runs go, with their logs and files; what assets are known by stays."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from glm_assets.cli import main
from glm_assets.defs.run_retention import prunable_runs, remove_runs

SOON = datetime.now(UTC) + timedelta(hours=1)
PARTS = dg.StaticPartitionsDefinition(["21", "22"])


@dg.asset(partitions_def=PARTS)
def windows(context) -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"run": context.run.run_id})


@dg.asset
def release(context) -> None:
    context.log.info("made")


@dg.asset
def broken() -> None:
    raise ValueError("no")


JOB = dg.Definitions(assets=[windows, release, broken]).resolve_implicit_global_asset_job_def()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.system)])
def instance(request, tmp_path, monkeypatch):
    overrides = {
        "compute_logs": {
            "module": "dagster._core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
        }
    }
    overrides["compute_logs"]["config"] = {"base_dir": str(tmp_path / "logs")}
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").create(tmp_path.name)
        overrides["storage"] = {"custom": {"module": "glm_assets.defs.server_history"}}
        overrides["storage"]["custom"] |= {"class": "SharedPostgresStorage", "config": {"postgres_url": url}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as instance:
        yield instance


def run(instance, asset: str, partition: str | None = None) -> str:
    done = JOB.execute_in_process(
        asset_selection=[dg.AssetKey(asset)], partition_key=partition, instance=instance, raise_on_error=False
    )
    return done.run_id


def made_by(instance, asset: str) -> list[str]:
    return [record.run_id for record in instance.fetch_materializations(dg.AssetKey(asset), limit=9).records]


def test_a_run_goes_when_all_that_it_made_was_made_again(instance, tmp_path):
    first, other = run(instance, "windows", "21"), run(instance, "windows", "22")
    failed, older, newer = run(instance, "broken"), run(instance, "release"), run(instance, "release")
    second = run(instance, "windows", "21")
    assert prunable_runs(instance, SOON - timedelta(hours=2)) == []
    assert prunable_runs(instance, SOON) == [first, failed, older]

    kept_logs = {path.name for path in (tmp_path / "logs").iterdir()} & {other, newer, second}
    remove_runs(instance, [first, failed, older])
    assert {run.run_id for run in instance.get_runs()} == {other, newer, second}
    assert made_by(instance, "windows") == [second, other]
    assert made_by(instance, "release") == [newer]
    assert instance.get_materialized_partitions(dg.AssetKey("windows")) == {"21", "22"}
    left = {path.name for path in tmp_path.rglob("*") if re.match("|".join((first, failed, older)), path.name)}
    assert left == set()
    assert {path.name for path in (tmp_path / "logs").iterdir()} == kept_logs
    assert prunable_runs(instance, SOON) == []


def test_a_run_that_goes_on_stays(instance):
    going = instance.create_run_for_job(JOB)
    assert prunable_runs(instance, SOON) == []
    assert instance.get_run_by_id(going.run_id)


def test_the_command_removes_nothing_unasked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    Path("dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.get() as instance:
        failed = run(instance, "broken")
        run(instance, "release")
        monkeypatch.setattr("glm_assets.cli.prune_runs.datetime", FakeNow(datetime.now(UTC) + timedelta(days=91)))
        assert main(["prune-runs"]) == 0
        assert capsys.readouterr().out == "1 of 2 runs would be removed\nremove them: add --yes\n"
        assert instance.get_run_by_id(failed)
        assert main(["prune-runs", "--older-than", "92"]) == 0
        assert capsys.readouterr().out == "0 of 2 runs would be removed\n"
        assert main(["prune-runs", "--yes"]) == 0
        assert capsys.readouterr().out == "1 of 2 runs were removed\n"
        assert instance.get_run_by_id(failed) is None


class FakeNow:
    """A clock that stands at one time."""

    def __init__(self, time: datetime) -> None:
        self._time = time

    def now(self, zone) -> datetime:
        return self._time.astimezone(zone)
