"""The sensors of a weekly refresh: what each asks for and when, and that a refresh repeats nothing."""

from __future__ import annotations

import re
import socket
import time
import uuid
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.study import Study
from glm_assets.sources.clinvar import WEEKLY
from glm_assets.storage.tables import read_part
from glm_assets_tests.defs.daemon import Daemon
from glm_assets_tests.lineage.finished import (
    finish,
    finish_checkpoint,
    finish_chromosome,
    finish_reference,
    finish_release,
    offer,
)
from glm_assets_tests.lineage.studies import tiny_study

HEADS = ("head_v0", "head_v1", "head_v2", "head_v3")


@pytest.fixture
def daemon():
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(instance)


@pytest.fixture
def sourced(tmp_path):
    """A study with a release, the reference and the weights, and nothing more."""
    study = tiny_study(tmp_path, tmp_path / "source")
    finish_release(study, "20260101", "a" * 32)
    finish_reference(study)
    finish_checkpoint(study)
    return study


def test_a_release_is_requested_once_by_its_md5_whatever_restarts(tmp_path, daemon):
    source = tmp_path / "source"
    md5 = offer(source, "20260101", b"first")
    first = daemon.tick(tiny_study(tmp_path, source), "clinvar_release_sensor")
    assert [(request.run_key, request.partition_key) for request in first.run_requests] == [(md5, None)]
    for _ in range(2):  # each tick has a new study and definitions; only the cursor is kept
        again = daemon.tick(tiny_study(tmp_path, source), "clinvar_release_sensor")
        assert again.run_requests == []
        assert "2026-01-01 was already requested" in again.skip_message
        assert again.cursor == first.cursor


def test_a_newer_release_and_a_corrected_one_are_requested_and_one_after_the_cutoff_is_not(tmp_path, daemon):
    source = tmp_path / "source"

    def requested() -> list[str | None]:
        study = tiny_study(tmp_path, source, clinvar_cutoff="2026-01-31")
        return [request.run_key for request in daemon.tick(study, "clinvar_release_sensor").run_requests]

    first = offer(source, "20260101", b"first")
    assert requested() == [first]
    offer(source, "20260201", b"after the cutoff")
    offer(source, "20260109_papu", b"a decoy")
    assert requested() == []
    second = offer(source, "20260108", b"second")
    assert requested() == [second]
    corrected = offer(source, "20260108", b"second, corrected")
    assert requested() == [corrected]
    assert requested() == []


def web_address_without_a_server() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def refused(daemon: Daemon, address: Path | str) -> str:
    """The reason why the release sensor skips; its cursor must survive that."""
    daemon.cursors["clinvar_release_sensor"] = "kept"
    result = daemon.tick(tiny_study(Path("study").absolute(), address, test_csv=None), "clinvar_release_sensor")
    assert result.run_requests == []
    assert result.cursor == "kept"
    return result.skip_message


@pytest.fixture
def direct(tmp_path, monkeypatch):
    """No proxy is asked for this machine, and `tmp_path` is the current directory."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)


def test_a_source_that_cannot_be_used_is_a_skip_with_its_reason(direct, tmp_path, daemon):
    source = tmp_path / "source"
    assert re.search(r"http://127.*cannot be read", refused(daemon, web_address_without_a_server()))
    assert re.search(r"weekly is absent.*GLM_NCBI_URL", refused(daemon, source))
    (source / WEEKLY).mkdir(parents=True)
    assert "holds no ClinVar release" in refused(daemon, source)
    offer(source, "20260101", b"first")
    md5_file = source / WEEKLY / "clinvar_20260101.vcf.gz.md5"
    md5_file.write_text("<html>maintenance</html>")
    assert re.search(r"vcf\.gz\.md5.*Expected:", refused(daemon, source))
    md5_file.unlink()
    assert re.search(r"vcf\.gz\.md5 cannot be read", refused(daemon, source))


@pytest.mark.system
def test_a_silent_source_is_a_skip_before_dagster_ends_the_sensor(direct, daemon):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin = time.monotonic()
        reason = refused(daemon, f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert "cannot be read" in reason
    assert time.monotonic() - begin < 45  # Dagster allows 60


def test_each_expected_chromosome_is_requested_once_for_a_release(sourced, daemon):
    md5 = "a" * 32
    requests = daemon.tick(sourced, "embed_sensor").run_requests
    assert [(request.run_key, request.partition_key) for request in requests] == [
        (f"{md5}:21", "21"),
        (f"{md5}:22", "22"),
    ]
    assert daemon.tick(sourced, "embed_sensor").run_requests == []
    finish_release(sourced, "20260108", "b" * 32)
    requests = daemon.tick(sourced, "embed_sensor").run_requests
    assert [request.run_key for request in requests] == [f"{'b' * 32}:21", f"{'b' * 32}:22"]


def test_chromosomes_wait_for_every_source(tmp_path, daemon):
    study = tiny_study(tmp_path, tmp_path / "source")
    reasons = []
    for finish_next in (
        lambda: finish_release(study, "20260101", "a" * 32),
        lambda: finish_reference(study),
        lambda: finish_checkpoint(study),
    ):
        result = daemon.tick(study, "embed_sensor")
        assert result.run_requests == []
        reasons.append(result.skip_message)
        finish_next()
    assert [reason.split(" is ")[0] for reason in reasons[1:]] == ["reference_genome", "glm_checkpoint"]
    assert "no release" in reasons[0]
    assert len(daemon.tick(study, "embed_sensor").run_requests) == 2


def test_training_waits_for_the_last_chromosome_names_it_and_is_requested_once(sourced, daemon):
    assert "chromosome 21, 22" in daemon.tick(sourced, "train_sensor").skip_message
    finish_chromosome(sourced, "22")
    assert "chromosome 21 (" in daemon.tick(sourced, "train_sensor").skip_message
    finish_chromosome(sourced, "21")
    assert [request.run_key for request in daemon.tick(sourced, "train_sensor").run_requests] == [
        f"{'a' * 32}:21:22"
    ]
    assert daemon.tick(sourced, "train_sensor").run_requests == []

    finish_release(sourced, "20260108", "b" * 32)
    assert "chromosome 21, 22" in daemon.tick(sourced, "train_sensor").skip_message
    finish_chromosome(sourced, "21")
    finish_chromosome(sourced, "22")
    assert [request.run_key for request in daemon.tick(sourced, "train_sensor").run_requests] == [
        f"{'b' * 32}:21:22"
    ]


def test_submission_waits_for_the_last_head_and_is_requested_once(sourced, daemon):
    assert "chromosome 21, 22" in daemon.tick(sourced, "submit_sensor").skip_message
    finish_chromosome(sourced, "21")
    finish_chromosome(sourced, "22")
    finish(sourced.mutation_ladders())
    for head in HEADS:
        assert daemon.tick(sourced, "submit_sensor").skip_message == f"{head} is absent or out of date"
        finish(sourced.head(head), of=sourced.release().data_version)
    assert [request.run_key for request in daemon.tick(sourced, "submit_sensor").run_requests] == [
        f"{'a' * 32}:21:22"
    ]
    assert daemon.tick(sourced, "submit_sensor").run_requests == []


def test_a_profile_can_leave_heads_and_submission_to_the_user(sourced, daemon):
    finish_chromosome(sourced, "21")
    finish_chromosome(sourced, "22")
    finish(sourced.mutation_ladders())
    for head in HEADS:
        finish(sourced.head(head))
    folder, source = sourced.root.parent, sourced.profile.ncbi_url
    study = tiny_study(folder, source, profile={"refresh": {"train": False, "submit": False}})
    for job in ("train", "submit"):
        result = daemon.tick(study, f"{job}_sensor")
        assert result.run_requests == []
        assert result.skip_message == f"profile tiny leaves {job} to you"
        assert len(daemon.tick(sourced, f"{job}_sensor").run_requests) == 1


def test_windows_of_another_build_are_a_skip_too(sourced, daemon):
    finish_chromosome(sourced, "21", reference_mismatch_share=0.7)
    result = daemon.tick(sourced, "train_sensor")
    assert result.run_requests == []
    assert "REF disagrees" in result.skip_message


@pytest.mark.parametrize("sensor", ["embed_sensor", "train_sensor", "submit_sensor"])
def test_a_store_that_cannot_be_asked_is_a_skip_with_its_reason_and_nothing_is_forgotten(
    tmp_path, daemon, monkeypatch, sensor
):
    root = f"memory://sensors/{uuid.uuid4().hex}"
    study = tiny_study(tmp_path, tmp_path / "source", data_root=root, local_dir=tmp_path / "local")

    def fail(*_args, **_options):
        raise ConnectionError("no route")

    monkeypatch.setattr(study.remote.files, "find", fail)
    daemon.cursors[sensor] = "kept"
    result = daemon.tick(study, sensor)
    assert result.run_requests == []
    assert f"{root} cannot be listed (no route)" in result.skip_message
    assert result.cursor == "kept"


def refresh(daemon: Daemon, study: Study) -> dict[str, list[str]]:
    """Let the sensors work, in an order that makes each wait, until none asks for anything; gives the run keys."""
    asked = {sensor: [] for sensor in ("submit_sensor", "train_sensor", "embed_sensor", "clinvar_release_sensor")}
    busy = True
    while busy:
        launched = {sensor: daemon.work(study, sensor) for sensor in asked}
        asked = {sensor: [*asked[sensor], *keys] for sensor, keys in launched.items()}
        busy = any(launched.values())
    return asked


def once_each(md5: str) -> dict[str, list[str]]:
    """What a refresh should ask for."""
    return {
        "clinvar_release_sensor": [md5],
        "embed_sensor": [f"{md5}:21", f"{md5}:22"],
        "train_sensor": [f"{md5}:21:22"],
        "submit_sensor": [f"{md5}:21:22"],
    }


def made(instance: dg.DagsterInstance, asset: str) -> list[dict]:
    """Partition and metadata of the materialisations that made something, oldest first."""
    records = instance.fetch_materializations(dg.AssetKey(asset), limit=100).records
    events = [record.event_log_entry.asset_materialization for record in reversed(records)]
    return [
        {name: value.value for name, value in event.metadata.items()} | {"partition": event.partition}
        for event in events
        if not event.metadata["reused"].value
    ]


def pairs(study: Study) -> pl.DataFrame:
    """What a pair of vectors is a function of, row by row; the encoder and the recipe do not change here."""
    tables = [read_part(study.variant_windows(chrom).folder) for chrom in study.profile.chromosomes]
    lengths = [pl.col(name).str.len_bytes().alias(f"{name}_length") for name in ("ref", "alt")]
    return pl.concat(tables).select("chrom", "ref_digest", "var_digest", "variant_offset", *lengths)


@pytest.fixture
def no_figures(monkeypatch):
    """Figures take a third of a tiny lineage's time; other tests look at them."""
    for stage in ("variants", "embeddings", "heads", "submission"):
        monkeypatch.setattr(f"glm_assets.lineage.{stage}.save_figure", lambda figure, path: None)


@pytest.mark.system
def test_a_refresh_makes_each_head_once_and_embeds_only_what_is_new(no_figures, tmp_path, tiny_tree, daemon):
    older = tiny_study(tmp_path, tiny_tree, clinvar_cutoff="2025-11-02")
    assert refresh(daemon, older) == once_each(older.release().data_version)
    before = pairs(older)
    newer = tiny_study(tmp_path, tiny_tree)
    assert refresh(daemon, newer) == once_each(newer.release().data_version)
    assert older.release().data_version != newer.release().data_version
    for asset in ("clinvar_release", "clinvar_release_diff", "split_audit", *HEADS, "submission"):
        assert len(made(daemon.instance, asset)) == 2, asset
    for asset in ("reference_genome", "glm_checkpoint", "test_sequences", "test_embeddings"):
        assert len(made(daemon.instance, asset)) == 1, asset

    nothing_before, diff = made(daemon.instance, "clinvar_release_diff")
    assert nothing_before["rows"] == 0
    assert "no earlier release" in nothing_before["note"]
    assert diff["added"] > 0 < diff["label_changed"]
    assert diff["by_gene_and_label"].startswith("| gene | label | added |")
    assert diff["changes"].startswith("![changes](data:image/png;base64,")

    after = pairs(newer)
    content = [name for name in after.columns if name != "chrom"]
    fresh = after.join(before, on=content, how="anti")
    assert 0 < fresh.height < after.height / 4
    runs = made(daemon.instance, "variant_embeddings")
    assert [run["partition"] for run in runs] == ["21", "22", "21", "22"]
    for first, second in zip(runs[:2], runs[2:], strict=True):
        new = fresh.filter(chrom=second["partition"])
        assert first["cache_hits"] == 0
        assert second["cache_hits"] == second["rows"] - new.height > 0
        assert second["windows_computed"] == new.n_unique(content) + new["ref_digest"].n_unique()
        assert second["windows_computed"] < first["windows_computed"]


@pytest.mark.system
def test_a_chromosome_that_is_expected_later_is_requested_for_the_same_release(daemon, tmp_path, tiny_tree):
    narrow = tiny_study(tmp_path, tiny_tree, chromosomes="21")
    for make in (make_clinvar_release, make_reference_genome, make_glm_checkpoint):
        make(narrow, progress=lambda _: None)
    md5 = narrow.release().data_version
    assert [request.run_key for request in daemon.tick(narrow, "embed_sensor").run_requests] == [f"{md5}:21"]
    wide = tiny_study(tmp_path, tiny_tree, chromosomes="21,22")
    requests = daemon.tick(wide, "embed_sensor").run_requests
    assert {request.run_key for request in requests} == {f"{md5}:21", f"{md5}:22"}
