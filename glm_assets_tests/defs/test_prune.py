"""Pruning: nothing that is named goes, what nobody names does, and a kill in the middle leaves everything whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from filelock import FileLock

from glm_assets import cli
from glm_assets.encoders.keys import pair_keys
from glm_assets.errors import DataRootError, SettingsError, StorageError
from glm_assets.lineage.embeddings import make_variant_embeddings, read_embeddings
from glm_assets.lineage.release_diff import make_release_diff
from glm_assets.lineage.scored_variants import make_scored_variants
from glm_assets.lineage.scoring_plan import Choices
from glm_assets.lineage.sources import make_clinvar_release
from glm_assets.lineage.study import Study
from glm_assets.planning.plan import make_plan
from glm_assets.pruning.items import age_s, entries_of, size_of
from glm_assets.pruning.prune import Wishes, find_prunable, prune
from glm_assets.tracking import NullRegistry
from glm_assets_tests.data_roots import copied, listing, with_settings
from glm_assets_tests.defs.conftest import make_windows, silent
from glm_assets_tests.lineage.studies import tiny_study
from glm_assets_tests.storage.servers import BUCKET, serve_s3
from glm_assets_tests.storage.servers import environment as server_environment
from glm_assets_tests.storage.stores import flip_a_byte

DAY_S = 24 * 3600
TWO_DAYS_AGO = time.time() - 2 * DAY_S
NEVER = pl.Series("key", [hashlib.sha256(f"nobody's {number}".encode()).hexdigest() for number in range(8)])


def age(*paths: Path) -> None:
    """Make files and folders two days old."""
    for path in paths:
        os.utime(path, (TWO_DAYS_AGO, TWO_DAYS_AGO))


def age_all(folder: Path) -> None:
    age(*folder.rglob("*"), folder)


def age_store(study: Study) -> None:
    age(*(study.root / "embeddings").glob("*.parquet"))


def append(study: Study, keys: pl.Series) -> None:
    """Publish a shard under some keys, of pairs as wide as the study's."""
    vectors = np.arange(len(keys) * 16, dtype=np.float32).reshape(len(keys), 16)
    study.store().append(keys, vectors, -vectors)


def add_old_release(study: Study) -> Path:
    """A release of 2024 that nothing was made from."""
    folder = study.releases_folder / "20240101"
    shutil.copytree(study.releases_folder / study.release().inputs["date"], folder)
    manifest = folder / "records" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"data_version": "f" * 32}))
    age_all(folder)
    return folder


def kinds(found) -> list[str]:
    return [item.kind for item in found.items]


def make_embeddings(study: Study) -> None:
    make_windows(study)
    make_variant_embeddings(study, "22", silent)


@pytest.fixture
def study(embedded, tmp_path) -> Study:
    """Two chromosomes, embedded two days ago on the newest release."""
    study = copied(embedded, tmp_path / "data")
    age_store(study)
    return study


@pytest.mark.system
def test_a_finished_lineage_names_all_its_vectors(lineage, tmp_path):
    """Those of variants, covariances, likelihoods, ladders, the layer sweep, test sequences, and every probe."""
    study = copied(lineage.study, tmp_path / "data")
    age_store(study)
    before = listing(tmp_path)
    found = find_prunable(study, Wishes())
    assert (found.items, found.notes) == ([], [])
    assert listing(tmp_path) == before


def test_vectors_that_nobody_names_go_and_those_of_others_stay(study):
    own = read_embeddings(study, "22")
    named = pl.read_parquet(study.variant_embeddings("22").folder / "part.parquet")["key"]
    append(study, NEVER[:4])
    ref, delta = (np.concatenate([np.ones((4, 16), np.float32), part[:2]]) for part in own)
    study.store().append(pl.concat([NEVER[4:], named[:2]]), ref, delta)  # two that were computed twice
    assert find_prunable(study, Wishes()).items == []  # a run may be about to name them
    age_store(study)
    before = listing(study.root)
    found = find_prunable(study, Wishes())
    assert (kinds(found), found.items[0].reason) == (["vectors"], "no product names any of its 4 keys")
    assert "1 shards are used in part" in found.notes[0]
    assert listing(study.root) == before

    prune(study, Wishes())
    assert study.store().missing(NEVER).tolist() == [True] * 4 + [False] * 4
    prune(study, Wishes(compact=True))
    assert study.store().missing(NEVER).all()
    assert find_prunable(study, Wishes()).items == []
    assert {one.state for one in make_plan(study, ["embed"]).findings} == {"current"}
    for mine, theirs in zip(read_embeddings(study, "22"), own, strict=True):
        assert np.array_equal(mine, theirs)


def test_what_a_killed_embedding_has_published_is_not_lost(study):
    """Its vectors are named by no table yet, but the windows are there."""
    shutil.rmtree(study.variant_embeddings("22").folder)
    assert find_prunable(study, Wishes()).items == []


@pytest.mark.system
def test_vectors_of_the_variants_that_were_scored_last_are_named(study):
    """Their table has no keys: they follow from its rows and the reference."""
    scoring = with_settings(study, region="22:15001-15004")
    choices = Choices(head="none", probe="none", likelihood=True)
    took = make_scored_variants(scoring, choices, NullRegistry(), silent).facts["windows_computed"]
    assert min(took.values()) > 0
    age_store(study)
    assert find_prunable(study, Wishes()).items == []
    shutil.rmtree(study.tables / "scored_variants")
    assert set(kinds(find_prunable(study, Wishes()))) == {"vectors"}


def test_an_index_that_cannot_be_read_keeps_all_vectors(study):
    append(study, NEVER)
    age_store(study)
    (study.variant_embeddings("22").folder / "manifest.json").write_text("{")
    found = find_prunable(study, Wishes())
    assert found.items == []
    assert "vectors are left alone" in found.notes[0]
    assert "its manifest is lacking" in found.notes[0]


def test_old_releases_go_but_never_the_one_before_or_one_that_is_named(study, tiny_tree):
    own = study.releases_folder / study.release().inputs["date"]
    older = with_settings(study, clinvar_cutoff="2025-11-02")
    make_clinvar_release(older, silent)
    before = study.releases_folder / older.release().inputs["date"]
    oldest = add_old_release(study)
    make_release_diff(study)
    found = find_prunable(study, Wishes(releases=1))  # two at least, whatever is asked
    assert [(item.kind, Path(item.place)) for item in found.items] == [("release", oldest)]
    prune(study, Wishes())
    assert (own.exists(), before.exists(), oldest.exists()) == (True, True, False)
    assert {one.state for one in make_plan(study, ["clinvar_release", "embed"]).findings} == {"current"}


def working_folder(beside: Path, name: str, digest: str, seconds: float) -> Path:
    """What a killed run that made `name` left some time ago."""
    folder = beside / f".{name}.{digest}.partial"
    folder.mkdir(parents=True)
    (folder / "part.parquet").write_bytes(b"half")
    then = time.time() - seconds
    for path in (folder / "part.parquet", folder):
        os.utime(path, (then, then))
    return folder


def test_leftovers_go_but_not_what_somebody_may_go_on_with(study):
    """A head of another recipe, profile, machine or choice is in no list of what today's settings would make."""
    finished = study.variant_windows("22").folder
    kept = [
        working_folder(finished.parent, "chrom=20", "0" * 16, 99 * DAY_S),  # never finished
        working_folder(study.root / "heads" / "faithful", "head_v0", "0" * 16, 99 * DAY_S),
        working_folder(finished.parent, finished.name, "1" * 16, 6 * DAY_S),
    ]
    other = working_folder(finished.parent, finished.name, "2" * 16, 8 * DAY_S)
    temporary = study.root / ".0123456789ab.warehouse.duckdb"
    orphan = study.root / "embeddings" / "feed.npy"
    for file in (temporary, orphan):
        file.write_bytes(b"half")
    age(temporary, orphan)
    found = find_prunable(study, Wishes())
    assert sorted(item.place for item in found.items) == sorted(map(str, (other, temporary, orphan)))
    assert sorted(note.partition(" is left alone")[0] for note in found.notes) == sorted(map(str, kept))
    prune(study, Wishes())
    assert all(folder.exists() for folder in kept)
    assert not any(path.exists() for path in (other, temporary, orphan))


@pytest.mark.parametrize("name", ["test_embeddings", "mutation_ladders", "scored_variants", "layer_comparison"])
def test_no_vectors_go_while_a_killed_run_has_not_named_its_own(study, tmp_path, name):
    """They may be of a table that was never finished, of another machine's arithmetic, or of a VCF that is gone."""
    append(study, NEVER)
    age_store(study)
    work = working_folder(study.tables, name, "0" * 16, 99 * DAY_S)
    found = find_prunable(study, Wishes(compact=True))
    assert found.items == []
    assert f"vectors are left alone: {work} was left by a run" in found.notes[-1]
    shutil.rmtree(work)
    assert kinds(find_prunable(study, Wishes())) == ["vectors"]
    other = copied(study, tmp_path / "other")
    working_folder(other.tables, name, "0" * 16, 99 * DAY_S)
    assert find_prunable(study, Wishes(also_roots=(str(other.root),))).items == []


def test_no_vectors_go_while_a_chromosome_is_half_embedded(study):
    append(study, NEVER)
    age_store(study)
    working_folder(study.tables / "covariance_embeddings", "chrom=21", "0" * 16, 0)
    assert find_prunable(study, Wishes()).items == []


def test_vectors_of_the_layers_that_the_profile_sweeps_stay(study):
    windows = pl.read_parquet(study.variant_windows("22").folder / "part.parquet")
    shallowest = replace(study.sweep_spec, layer=study.profile.sweep.layers[0])
    assert shallowest != study.sweep_spec
    append(study, pair_keys(windows, shallowest.fingerprint, study.profile.windows.as_dict()))
    age_store(study)
    assert find_prunable(study, Wishes()).items == []


def test_what_goes_while_a_list_is_made_is_not_on_it(study, monkeypatch):
    """A list takes no locks: a run beside it publishes and removes."""
    working_folder(study.root / "heads", "head_v0", "0" * 16, 99 * DAY_S)
    walk = os.walk

    def walk_late(top):
        for folder, folders, files in walk(top):
            yield folder, [*folders, "gone"], [*files, "gone.parquet"]

    monkeypatch.setattr("glm_assets.pruning.items.os.walk", walk_late)
    assert "left alone, 4 bytes" in find_prunable(study, Wishes()).notes[0]
    assert (size_of(study.root / "nothing"), entries_of(study.root / "nothing")) == (0, [])
    assert age_s(study.root / "nothing") < 1


def test_a_damaged_shard_is_no_obstacle_to_compacting(study):
    named = pl.read_parquet(study.variant_embeddings("22").folder / "part.parquet")["key"]
    append(study, pl.concat([NEVER, named[:2]]))
    age_store(study)
    (damaged,) = [shard.name for shard, _ in study.store().look() if shard.keys.len() == len(NEVER) + 2]
    flip_a_byte(study.root / "embeddings" / f"{damaged}.npy")
    assert kinds(prune(study, Wishes(compact=True))) == ["rows"]
    assert (study.root / "embeddings" / f"{damaged}.npy.damaged").exists()
    assert not study.store().missing(named).any()  # others have these


def test_a_release_that_may_be_coming_is_left_alone(study):
    oldest = add_old_release(study)
    make_clinvar_release(with_settings(study, clinvar_cutoff="2025-11-02"), silent)
    (oldest / "records" / "manifest.json").unlink()
    os.utime(oldest / "records")
    assert find_prunable(study, Wishes()).items == []  # somebody may be parsing it
    age_all(oldest)
    assert kinds(find_prunable(study, Wishes())) == ["release"]
    part = oldest / "clinvar.vcf.gz.part"
    part.write_bytes(b"half")
    age_all(oldest)
    assert find_prunable(study, Wishes()).items == []  # its download may go on


def test_a_store_that_others_may_use_wants_every_root_named(study, tmp_path):
    """The other root's vectors stay when it is named."""
    shared = tmp_path / "shared"
    shutil.move(study.root / "embeddings", shared)
    mine = with_settings(study, embeddings_url=str(shared))
    other = copied(mine, tmp_path / "other")
    shutil.rmtree(mine.tables / "variant_embeddings")
    shutil.rmtree(mine.tables / "variant_windows")
    found = find_prunable(mine, Wishes())
    assert found.items == []
    assert "name each of the others with --also-root" in found.notes[0]
    assert find_prunable(mine, Wishes(also_roots=(str(other.root),))).items == []
    assert set(kinds(find_prunable(mine, Wishes(alone=True)))) == {"vectors"}
    with pytest.raises(SettingsError, match="is no data root"):
        find_prunable(mine, Wishes(also_roots=(str(tmp_path / "elsewhere"),)))


def test_a_folder_that_is_no_data_root_is_left_alone(tmp_path, tiny_tree):
    with pytest.raises(DataRootError, match="is no data root"):
        find_prunable(tiny_study(tmp_path, tiny_tree), Wishes())
    assert not (tmp_path / "data").exists()


def test_nothing_goes_while_a_product_is_made(study):
    append(study, NEVER)
    age_store(study)
    folder = study.variant_embeddings("22").folder
    with FileLock(folder.with_name(f".{folder.name}.lock")), pytest.raises(StorageError, match="is being made"):
        prune(study, Wishes())
    assert not study.store().missing(NEVER).any()


@pytest.mark.parametrize("after", ["index", "release"])
def test_a_kill_in_the_middle_leaves_everything_whole(study, monkeypatch, after):
    append(study, NEVER)
    age_store(study)
    add_old_release(study)
    make_clinvar_release(with_settings(study, clinvar_cutoff="2025-11-02"), silent)
    unlink = Path.unlink

    def die(path, **options):
        raise KeyboardInterrupt

    def die_at_vectors(path, **options):
        if path.suffix == ".npy":
            raise KeyboardInterrupt
        unlink(path, **options)

    with monkeypatch.context() as patched:
        if after == "index":
            patched.setattr(Path, "unlink", die_at_vectors)
        else:
            patched.setattr("glm_assets.pruning.releases.shutil.rmtree", die)
        with pytest.raises(KeyboardInterrupt):
            prune(study, Wishes())
    assert {one.state for one in make_plan(study, ["clinvar_release", "embed"]).findings} == {"current"}
    assert read_embeddings(study, "22")[0].any()
    age(*(study.root / "embeddings").glob("*.npy"))
    prune(study, Wishes())
    assert find_prunable(study, Wishes()).items == []
    assert sorted(path.name for path in study.releases_folder.iterdir() if path.name.endswith("removed")) == []
    assert {one.state for one in make_plan(study, ["clinvar_release", "embed"]).findings} == {"current"}


@pytest.fixture
def environment(study, monkeypatch) -> dict[str, str]:
    values = {
        "GLM_PROFILE": study.settings.profile,
        "GLM_DATA_ROOT": str(study.root),
        "GLM_NCBI_URL": str(study.settings.ncbi_url),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


def test_the_command_lists_and_removes_only_with_yes(study, environment, capsys):
    append(study, NEVER)
    age_store(study)
    assert cli.main(["prune"]) == 0
    told = capsys.readouterr().out
    assert "no product names any of its 8 keys" in told
    assert told.endswith("1 things would be removed, 1,152 bytes\nremove them: add --yes\n")
    assert not study.store().missing(NEVER).any()
    assert cli.main(["prune", "--yes"]) == 0
    assert "1 things were removed" in capsys.readouterr().out
    assert study.store().missing(NEVER).all()


@pytest.mark.system
def test_a_killed_prune_loses_nothing_that_is_named(study, environment):
    own = read_embeddings(study, "22")
    folder = study.root / "embeddings"
    for number in range(400):
        append(study, pl.Series([hashlib.sha256(f"{number}".encode()).hexdigest()]))
    age_store(study)
    count = len(list(folder.glob("*.parquet")))
    process = subprocess.Popen([sys.executable, "-c", "from glm_assets.cli import main; main(['prune', '--yes'])"])
    while len(list(folder.glob("*.parquet"))) == count and process.poll() is None:
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = len(list(folder.glob("*.parquet")))
    assert left < count
    for mine, theirs in zip(read_embeddings(study, "22"), own, strict=True):
        assert np.array_equal(mine, theirs)
    age(*folder.glob("*.npy"))
    prune(study, Wishes())
    assert find_prunable(study, Wishes()).items == []
    assert make_variant_embeddings(study, "22", silent).reused


@pytest.mark.system
def test_of_a_data_root_on_an_object_store_only_vectors_go(tmp_path, tiny_tree, monkeypatch):
    pytest.importorskip("s3fs")
    with serve_s3() as address:
        for name, value in server_environment(address).items():
            monkeypatch.setenv(name, value)
        place = {"data_root": f"s3://{BUCKET}/glm", "local_dir": tmp_path / "here"}
        study = tiny_study(tmp_path, tiny_tree, {"chromosomes": ["22"]}, **place)
        make_embeddings(study)
        append(study, NEVER)
        assert find_prunable(study, Wishes()).items == []  # too young
        monkeypatch.setattr("glm_assets.pruning.vectors.DAY_S", -1.0)
        found = find_prunable(study, Wishes())
        assert kinds(found) == ["vectors"]
        assert "only vectors are pruned there" in found.notes[0]
        prune(study, Wishes())
        assert study.store().missing(NEVER).all()
        assert {one.state for one in make_plan(study, ["clinvar_release", "embed"]).findings} == {"current"}
        assert read_embeddings(study, "22")[0].any()
