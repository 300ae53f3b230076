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
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from filelock import FileLock

from glm_assets import cli
from glm_assets.errors import DataRootError, SettingsError, StorageError
from glm_assets.lineage.embeddings import make_variant_embeddings, read_embeddings
from glm_assets.lineage.release_diff import make_release_diff
from glm_assets.lineage.scored_variants import make_scored_variants
from glm_assets.lineage.scoring_plan import Choices
from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.study import Study
from glm_assets.lineage.variants import make_clinvar_variants, make_variant_windows
from glm_assets.planning.plan import make_plan
from glm_assets.pruning.prune import Wishes, find_prunable, prune
from glm_assets.tracking import NullRegistry
from glm_assets_tests.data_roots import copied, listing, with_settings
from glm_assets_tests.lineage.studies import tiny_study
from glm_assets_tests.storage.servers import BUCKET, serve_s3
from glm_assets_tests.storage.servers import environment as server_environment

DAY_S = 24 * 3600
TWO_DAYS_AGO = time.time() - 2 * DAY_S
NEVER = pl.Series("key", [hashlib.sha256(f"nobody's {number}".encode()).hexdigest() for number in range(8)])


def silent(line: str) -> None:
    """Progress that nobody reads."""


def age(*paths: Path) -> None:
    """Make files and folders two days old."""
    for path in paths:
        os.utime(path, (TWO_DAYS_AGO, TWO_DAYS_AGO))


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
    return folder


def kinds(found) -> list[str]:
    return [item.kind for item in found.items]


def make_embeddings(study: Study) -> None:
    study.claim()
    make_clinvar_release(study, silent)
    make_reference_genome(study, silent)
    make_glm_checkpoint(study, silent)
    make_clinvar_variants(study, "22")
    make_variant_windows(study, "22")
    make_variant_embeddings(study, "22", silent)


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_tree) -> Study:
    """One chromosome embedded on the newest release; tests must not change it."""
    study = tiny_study(tmp_path_factory.mktemp("made"), tiny_tree, {"chromosomes": ["22"]})
    make_embeddings(study)
    age_store(study)
    return study


@pytest.fixture
def study(made, tmp_path) -> Study:
    return copied(made, tmp_path / "data")


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
    append(study, pl.concat([NEVER[4:], named[:2]]))
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


def test_leftovers_go_but_not_what_a_product_of_today_would_go_on_with(study):
    table = study.variant_windows("22")
    wanted = table.folder.with_name(f".{table.folder.name}.{table.input_digest[:16]}.partial")
    other = table.folder.with_name(f".{table.folder.name}.{'0' * 16}.partial")
    young = table.folder.with_name(f".{table.folder.name}.{'1' * 16}.partial")
    for folder in (wanted, other, young):
        folder.mkdir()
        (folder / "part.parquet").write_bytes(b"half")
    temporary = study.root / ".0123456789ab.warehouse.duckdb"
    orphan = study.root / "embeddings" / "feed.npy"
    for file in (temporary, orphan):
        file.write_bytes(b"half")
    age(wanted / "part.parquet", wanted, other / "part.parquet", other, temporary, orphan)
    found = find_prunable(study, Wishes())
    assert sorted(item.place for item in found.items) == sorted(map(str, (other, temporary, orphan)))
    prune(study, Wishes())
    assert (wanted.exists(), young.exists(), other.exists()) == (True, True, False)
    assert not temporary.exists()
    assert not orphan.exists()


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
