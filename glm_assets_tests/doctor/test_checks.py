"""What `glm-assets doctor` finds on broken machines, made broken one thing at a time."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from glm_assets import cli
from glm_assets.doctor import gpu, packages, places
from glm_assets.doctor.checkup import domain_checks
from glm_assets.doctor.findings import Finding, is_healthy, report, run_checks
from glm_assets.errors import StorageError
from glm_assets.lineage.study import Study
from glm_assets.profiles.profile import read_profile
from glm_assets_tests.data_roots import listing
from glm_assets_tests.lineage.studies import tiny_environment, tiny_study

NOBODY = "http://127.0.0.1:9"  # the port of `discard`, which nobody serves


@pytest.fixture
def environment(tmp_path, tiny_tree, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GLM_")]:
        monkeypatch.delenv(name)
    for name, value in tiny_environment(tmp_path, tiny_tree).items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def full_study(folder: Path, encoder: dict | None = None, **settings) -> Study:
    profile = read_profile("full")
    profile["encoder"] |= encoder or {}
    return tiny_study(folder, folder, profile, **settings)


def test_a_machine_that_has_all_is_healthy_and_stays_as_it_is(environment, tmp_path):
    before = listing(tmp_path)
    found = run_checks(domain_checks())
    assert [one for one in found if one.status == "missing"] == []
    assert {"settings", "Python", "torch", "GPU", "evo2", "mlflow", "data root", "disk", "source"} <= {
        one.name for one in found
    }
    assert listing(tmp_path) == before


def test_settings_that_cannot_be_used_are_the_finding(environment):
    environment.setenv("GLM_CHROMSOMES", "21")
    found = run_checks(domain_checks())
    assert [(one.name, one.status) for one in found] == [("settings", "missing"), ("Python", "ok")]
    assert "GLM_CHROMOSOMES" in found[0].fix


def test_another_python_is_missing():
    found = packages.check_python((3, 9, 18))
    assert (found.status, found.found) == ("missing", "3.9.18; needed: <3.12,>=3.11")


def test_torch_of_another_build_or_version(tmp_path):
    on_gpu, on_cpu = (full_study(tmp_path, device=device) for device in ("cuda:0", "cpu"))
    assert packages.check_torch(on_gpu, "2.13.0+cpu").status == "missing"
    assert packages.check_torch(on_gpu, "2.13.0", "12.8") == Finding("torch", "ok", "2.13.0, a CUDA 12.8 build")
    older = packages.check_torch(on_cpu, "2.4.1", "12.1")
    assert (older.status, older.found) == ("warning", "2.4.1, a CUDA 12.1 build; tested with torch==2.13.0")


@pytest.mark.parametrize(
    ("encoder", "settings", "package", "status"),
    [
        ({}, {}, "flash-attn", "ok"),
        ({}, {}, "transformer-engine", "ok"),  # Evo2 7B runs without FP8
        ({"fp8": True}, {}, "transformer-engine", "missing"),
        ({"name": "evo2_40b"}, {}, "transformer-engine", "missing"),
        ({"name": "evo2_40b", "precision": "auto"}, {"device": "cpu"}, "transformer-engine", "missing"),
    ],
)
def test_fp8_is_needed_only_by_those_that_need_it(tmp_path, monkeypatch, encoder, settings, package, status):
    monkeypatch.setattr(packages, "_version", lambda name: None)
    (need,) = [need for need in packages.NEEDS if need.package == package]
    study = full_study(tmp_path, encoder, **({"device": "cuda:0"} | settings))
    assert packages.check_package(study, need).status == status


def test_what_the_settings_ask_for_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "_version", lambda name: None)

    def missing(**settings) -> set[str]:
        study = full_study(tmp_path, **settings)
        return {need.package for need in packages.NEEDS if packages.check_package(study, need).status == "missing"}

    assert missing() == {"evo2", "vtx", "mlflow"}
    assert missing(engine="ray") == {"evo2", "vtx", "mlflow", "ray"}
    assert missing(embeddings_url="s3://bucket/vectors") == {"evo2", "vtx", "mlflow", "s3fs"}


def test_the_memory_of_a_gpu_is_held_against_the_encoder(tmp_path):
    h100, small = gpu.Gpu("NVIDIA H100", 80 * 2**30, 9.0), gpu.Gpu("NVIDIA T4", 15 * 2**30, 7.5)
    study = full_study(tmp_path, device="cuda:0")
    assert gpu.check_gpu(study, lambda: [h100]).status == "ok"
    tight = gpu.check_gpu(study, lambda: [small])
    assert (tight.status, tight.fix) == ("warning", "lower encoder.batch_tokens in the profile")
    assert gpu.check_gpu(study, list).status == "missing"
    assert gpu.check_gpu(full_study(tmp_path, device="cuda:1"), lambda: [h100]).status == "missing"
    large = full_study(tmp_path, {"name": "evo2_20b"}, device="cuda:0")
    assert "the weights of evo2_20b take" in gpu.check_gpu(large, lambda: [small]).found
    without_fp8 = gpu.Gpu("NVIDIA A100", 80 * 2**30, 8.0)
    assert "without FP8" in gpu.check_gpu(large, lambda: [without_fp8]).found
    assert gpu.check_gpu(full_study(tmp_path, device="cpu"), list).status == "ok"


def test_a_data_root_of_another_profile_or_none_at_all(tmp_path, tiny_tree):
    study = tiny_study(tmp_path, tiny_tree)
    assert places.check_data_root(study).status == "ok"
    study.claim()
    assert "profile tiny" in places.check_data_root(study).found
    (study.root / "platform.json").write_text(json.dumps({"profile": "full"}))
    other = places.check_data_root(study)
    assert (other.status, "was made with profile 'full'" in other.found) == ("missing", True)
    (tmp_path / "file").write_text("")
    blocked = tiny_study(tmp_path, tiny_tree, data_root=str(tmp_path / "file"))
    assert places.check_data_root(blocked).status == "missing"
    (study.root / "platform.json").write_text("{")
    (found,) = run_checks({"data root": lambda: places.check_data_root(study)})
    assert (found.status, "the check itself failed" in found.found) == ("warning", True)


def test_a_disk_that_is_too_small_is_missing(tmp_path, monkeypatch):
    study = full_study(tmp_path, offline=True)
    monkeypatch.setattr("glm_assets.planning.plan.free_bytes", lambda folder: 10**9)
    small = places.check_disk(study)
    assert (small.status, "1.0 GB for data root" in small.found) == ("missing", True)
    monkeypatch.setattr("glm_assets.planning.plan.free_bytes", lambda folder: 10**12)
    assert places.check_disk(study).status == "ok"


def test_a_mirror_that_is_away_or_not_asked(tmp_path, tiny_tree):
    away = places.check_source(tiny_study(tmp_path, tiny_tree, ncbi_url=NOBODY))
    assert (away.status, "GLM_OFFLINE=true" in away.fix) == ("missing", True)
    assert places.check_source(tiny_study(tmp_path, tiny_tree, ncbi_url=NOBODY, offline=True)).status == "ok"
    assert "offers ClinVar 2025-11-09" in places.check_source(tiny_study(tmp_path, tiny_tree)).found


def test_a_warehouse_that_is_damaged_or_names_lost_files(tmp_path, tiny_tree):
    import duckdb

    study = tiny_study(tmp_path, tiny_tree)
    study.root.mkdir(parents=True)
    assert places.check_duckdb(study).status == "ok"
    with duckdb.connect(str(study.warehouse)) as connection:
        connection.execute("create view numbers as select 1 as number")
    assert "1 views" in places.check_duckdb(study).found
    study.warehouse.write_bytes(b"no database" * 100)
    assert places.check_duckdb(study).status == "missing"


def test_mlflow_that_does_not_answer(tmp_path, tiny_tree):
    def found(**settings) -> Finding:
        return places.check_mlflow(tiny_study(tmp_path, tiny_tree, **settings))

    assert found().status == "ok"
    assert found(mlflow_tracking_uri=NOBODY).status == "warning"  # what is recorded is queued
    secret = found(mlflow_tracking_uri="http://me:secret@127.0.0.1:9", tracking="require")
    assert (secret.status, "secret" in secret.found) == ("missing", False)


def test_mlflow_on_one_machine_with_a_data_root_that_all_share_is_a_warning(tmp_path, tiny_tree):
    def found(**settings) -> Finding:
        shared = {"data_root": "memory://bucket/study", "local_dir": tmp_path / "local"}
        return places.check_mlflow(tiny_study(tmp_path, tiny_tree, **(shared | settings)))

    unset = found()
    assert (unset.status, "MLFLOW_TRACKING_URI" in unset.fix) == ("warning", True)
    assert "this machine's alone" in unset.found
    assert found(mlflow_tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}").status == "ok"  # somebody wanted it so
    assert found(data_root=str(tmp_path / "data")).status == "ok"


def test_a_check_that_fails_or_hangs_is_a_finding_and_costs_no_more_time():
    def fail() -> Finding:
        raise ValueError("odd")

    def refuse() -> Finding:
        raise StorageError("no store", fix="make one")

    def hang() -> Finding:
        time.sleep(30)
        return Finding("hang", "ok", "")

    start = time.monotonic()
    found = run_checks({"fail": fail, "refuse": refuse, "hang": hang}, deadline_s=0.5)
    assert time.monotonic() - start < 5
    assert [one.status for one in found] == ["warning", "missing", "warning"]
    assert (found[0].found, found[1].fix) == ("the check itself failed: ValueError: odd", "make one")
    assert not is_healthy(found)
    assert is_healthy([found[0], found[2]])
    assert report(found).splitlines()[-1] == "0 ok, 2 warnings, 1 missing"


def test_the_exit_status_is_for_scripts(environment, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["doctor", "--json"]) == 1  # no dagster.yaml here
    told = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert told["instance"]["status"] == "missing"
    (tmp_path / "dagster.yaml").write_text("storage: {sqlite: {base_dir: .dagster/storage}}\n")
    assert cli.main(["doctor"]) == 0
    assert "the first run makes its history" in capsys.readouterr().out
    assert not (tmp_path / ".dagster").exists()
