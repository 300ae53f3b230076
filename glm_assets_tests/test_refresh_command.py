"""`glm-assets refresh` as cron runs it: real releases of a small tree, real runs in the shared history."""

from __future__ import annotations

import gzip
import re
import shutil

import dagster as dg
import pytest

from glm_assets.cli import main
from glm_assets.sources.clinvar import WEEKLY
from glm_assets_tests.checkouts import make_checkout
from glm_assets_tests.lineage.studies import tiny_environment, write_tiny_profile
from glm_assets_tests.sources.conftest import publish

NEWER = "2025-11-09"


@pytest.mark.system
def test_cron_brings_each_release_once_and_stops_at_a_broken_one(tmp_path, tiny_tree, monkeypatch):
    tree = shutil.copytree(tiny_tree, tmp_path / "tree")
    weekly = tree / WEEKLY
    held = {path.name: path.read_bytes() for path in weekly.glob("clinvar_20251109.vcf.gz*")}
    for name in held:
        (weekly / name).unlink()
    folder = tmp_path / "checkout"
    settings = tiny_environment(folder, tree)
    write_tiny_profile(folder, refresh={"train": False, "submit": False})
    checkout = make_checkout(folder, settings)

    assert "5 runs would follow" not in checkout.run("glm-assets refresh --dry-run")
    first = checkout.run("glm-assets refresh")
    assert "3 runs: sources, embed 21, embed 22" in first
    assert "ClinVar release 2025-11-02" in first
    embedded = re.findall(r"chromosome (\d+): (\d+) of (\d+) variants embedded", first)
    assert [(chrom, new == rows) for chrom, new, rows in embedded] == [("21", True), ("22", True)]
    assert checkout.run("glm-assets refresh").splitlines()[-1] == "everything is up to date"

    for name, content in held.items():
        (weekly / name).write_bytes(content)
    second = checkout.run("glm-assets refresh")
    assert f"ClinVar release {NEWER} (before: 2025-11-02)" in second
    assert re.search(r"against 2025-11-02: \d+ added, \d+ removed", second)
    for _, new, rows in re.findall(r"chromosome (\d+): (\d+) of (\d+) variants embedded", second):
        assert 0 < int(new) < int(rows) / 4
    assert checkout.run("glm-assets refresh").splitlines()[-1] == "everything is up to date"

    lines = gzip.decompress(held["clinvar_20251109.vcf.gz"]).splitlines(keepends=True)
    half = [line for number, line in enumerate(lines) if line.startswith(b"#") or number % 2]
    publish(weekly / "clinvar_20251116.vcf.gz", gzip.compress(b"".join(half)))
    broken = checkout.run("! glm-assets refresh")
    assert re.search(r"run [0-9a-f-]{36} \(sources\) failed; step clinvar_release", broken)
    assert re.search(
        r"ClinVar release 2025-11-16 has fewer rows than 2025-11-09: .*all chromosomes together", broken
    )
    assert "sources is not run again" in checkout.run("! glm-assets refresh")

    monkeypatch.chdir(folder)  # the storage paths of dagster.yaml are relative
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        runs = [
            (run.job_name, run.tags.get("dagster/partition"), run.status.value, run.tags.get("glm/refresh"))
            for run in reversed(instance.get_runs())
        ]
    a_release = [
        ("sources", None, "SUCCESS", "true"),
        ("embed", "21", "SUCCESS", "true"),
        ("embed", "22", "SUCCESS", "true"),
    ]
    assert runs == [*a_release, *a_release, ("sources", None, "FAILURE", "true")]


def test_a_dry_run_needs_no_history_and_says_what_is_wrong_with_the_source(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, value in tiny_environment(tmp_path, tmp_path / "nowhere").items():
        if name != "GLM_TEST_CSV":
            monkeypatch.setenv(name, value)
    assert main(["refresh", "--dry-run"]) == 1
    assert "GLM_NCBI_URL" in capsys.readouterr().err
    assert not (tmp_path / ".dagster").exists()
