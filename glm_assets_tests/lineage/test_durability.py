"""Embeddings of a partition survive kills, damage, full disks and each other: a rerun computes what is missing."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from glm_assets.encoders.keys import pair_keys
from glm_assets.errors import StorageError
from glm_assets.lineage.embeddings import make_variant_embeddings, read_embeddings
from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.study import Study
from glm_assets.lineage.variants import make_clinvar_variants, make_variant_windows
from glm_assets.profiles.profile import read_profile
from glm_assets.storage import vector_files
from glm_assets.storage.tables import read_part
from glm_assets_tests.lineage.studies import tiny_study
from glm_assets_tests.storage.servers import BUCKET, environment, serve_s3
from glm_assets_tests.storage.stores import REPOSITORY, flip_a_byte

CHROM = "21"
# About nine shards for the chromosome's 35 variants.
SMALL_SHARDS = {"encoder": read_profile("demo")["encoder"] | {"shard_rows": 4, "batch_tokens": 4096}}


def silent(line: str) -> None:
    """Progress that nobody reads."""


def open_study(folder: Path, tree: Path, **settings) -> Study:
    return tiny_study(folder, tree, SMALL_SHARDS, **settings)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, tiny_tree) -> Study:
    """A study with the partition's windows, and its vectors in a store elsewhere; tests must not change it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    study = open_study(folder, tiny_tree, embeddings_url=str(folder / "store"))
    make_clinvar_release(study, silent)
    make_reference_genome(study, silent)
    make_glm_checkpoint(study, silent)
    make_clinvar_variants(study, CHROM)
    make_variant_windows(study, CHROM)
    shutil.copytree(study.root, folder / "windows")
    make_variant_embeddings(study, CHROM, silent)
    return study


def windows_only(undisturbed: Study, tree: Path, folder: Path, **settings) -> Study:
    """A data root of its own in which the partition's embeddings are the next thing to make."""
    shutil.copytree(undisturbed.root.parent / "windows", folder / "data")
    return open_study(folder, tree, **settings)


@pytest.fixture
def study(undisturbed, tiny_tree, tmp_path) -> Study:
    return windows_only(undisturbed, tiny_tree, tmp_path)


EMBED = """
import json, sys, time
from glm_assets.lineage.embeddings import make_variant_embeddings
from glm_assets.lineage.study import Study
from glm_assets.settings import Settings
from glm_assets.storage.embeddings import EmbeddingStore

append = EmbeddingStore.append

def slow_append(self, *shard):
    append(self, *shard)
    time.sleep(0.1)  # so that there is a middle

EmbeddingStore.append = slow_append
manifest = make_variant_embeddings(Study(Settings.from_environment()), sys.argv[1], lambda line: None)
print(json.dumps({"reused": manifest.reused, **manifest.facts}))
"""


def start(study: Study) -> subprocess.Popen[str]:
    """A process that makes the partition's embeddings."""
    names = ("profile", "data_root", "ncbi_url", "test_csv", "embeddings_url", "local_dir")
    values = {f"GLM_{name.upper()}": getattr(study.settings, name) for name in names}
    chosen = {name: str(value) for name, value in values.items() if value is not None}
    return subprocess.Popen(
        [sys.executable, "-c", EMBED, CHROM],
        env={"PYTHONPATH": str(REPOSITORY), **os.environ, **chosen},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result_of(process: subprocess.Popen[str]) -> dict:
    """What the process says about the product; it must have ended well."""
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def store_folder(study: Study) -> Path:
    return study.store().folder


def shards_of(study: Study) -> dict[str, list[bytes]]:
    """The keys in each shard of the partition, past the store, which may hold more than the partition."""
    windows = read_part(study.variant_windows(CHROM).folder)
    keys = pair_keys(windows, study.encoder_spec.fingerprint, study.profile.windows.as_dict())
    wanted = {bytes.fromhex(key) for key in keys}
    indexes = store_folder(study).glob("[!.]*.parquet")
    shards = {path.stem: pl.read_parquet(path)["key"].to_list() for path in indexes}
    return {name: found for name, found in shards.items() if wanted & set(found)}


def assert_each_key_once(study: Study, rows: int) -> None:
    keys = [key for shard in shards_of(study).values() for key in shard]
    assert len(keys) == len(set(keys)) == rows


def assert_same_vectors(study: Study, undisturbed: Study) -> None:
    for found, expected in zip(read_embeddings(study, CHROM), read_embeddings(undisturbed, CHROM), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert study.store().damaged == 0


@pytest.mark.system
def test_after_a_kill_in_mid_run_exactly_the_missing_shards_are_computed(study, undisturbed):
    victim = start(study)
    while len(shards_of(study)) < 3:
        assert victim.poll() is None, victim.communicate()
        time.sleep(0.005)
    os.kill(victim.pid, signal.SIGKILL)
    victim.communicate()
    finished = shards_of(study)
    assert study.variant_embeddings(CHROM).current() is None
    assert 3 <= len(finished) < 8

    facts = result_of(start(study))
    kept = sum(map(len, finished.values()))
    assert not facts["reused"]
    assert facts["cache_hits"] == kept
    assert finished.items() <= shards_of(study).items()
    assert_each_key_once(study, facts["rows"])
    assert_same_vectors(study, undisturbed)


def test_vectors_are_kept_in_the_data_root_unless_a_place_is_named(study, undisturbed, tiny_tree, tmp_path):
    assert store_folder(study) == study.root / "embeddings"
    assert store_folder(open_study(tmp_path, tiny_tree, embeddings_url="")) == study.root / "embeddings"
    assert len(list((undisturbed.root.parent / "store").glob("*.parquet"))) > 3
    assert not (undisturbed.root / "embeddings").exists()
    remote = open_study(tmp_path, tiny_tree, embeddings_url="memory://vectors", local_dir=tmp_path / "local")
    assert store_folder(remote).parent == tmp_path / "local"


def test_after_damage_to_one_shard_exactly_its_keys_are_computed_again(study, undisturbed):
    make_variant_embeddings(study, CHROM, silent)
    folder = store_folder(study)
    before, vectors = shards_of(study), read_embeddings(study, CHROM)
    damaged = sorted(before)[2]
    flip_a_byte(folder / f"{damaged}.npy")

    again = make_variant_embeddings(study, CHROM, silent)
    assert not again.reused
    assert again.facts["rows"] - again.facts["cache_hits"] == len(before[damaged])
    after = shards_of(study)
    (fresh,) = after.keys() - before.keys()
    assert before.keys() - after.keys() == {damaged}
    assert sorted(after[fresh]) == sorted(before[damaged])
    for found, former in zip(read_embeddings(study, CHROM), vectors, strict=True):
        np.testing.assert_allclose(found, former, rtol=0, atol=1e-6)
    assert make_variant_embeddings(study, CHROM, silent).reused


@pytest.mark.system
def test_two_processes_on_one_partition_take_turns_and_compute_it_once(study, undisturbed):
    facts = [result_of(process) for process in [start(study), start(study)]]
    assert sorted(fact["reused"] for fact in facts) == [False, True]
    assert all(fact["cache_hits"] == 0 for fact in facts)  # the second repeats the first's record
    assert_each_key_once(study, facts[0]["rows"])
    assert_same_vectors(study, undisturbed)


@pytest.fixture(params=["folder", "s3"])
def shared_place(request, tmp_path, monkeypatch) -> Iterator[str]:
    """A place that several data roots may share."""
    if request.param == "folder":
        yield str(tmp_path / "shared")
        return
    with serve_s3() as address:
        for name, value in environment(address).items():
            monkeypatch.setenv(name, value)
        yield f"s3://{BUCKET}/shared"


@pytest.mark.system
def test_two_data_roots_that_fill_one_store_at_once_do_each_other_no_harm(
    undisturbed, tiny_tree, tmp_path, shared_place
):
    def root(name: str) -> Study:
        local = tmp_path / name / "local"
        return windows_only(undisturbed, tiny_tree, tmp_path / name, embeddings_url=shared_place, local_dir=local)

    studies = [root("one"), root("other")]
    for facts in [result_of(process) for process in [start(study) for study in studies]]:
        assert not facts["reused"]
    for study in studies:
        assert_same_vectors(study, undisturbed)
        assert not (study.root / "embeddings").exists()

    third = root("third")
    facts = make_variant_embeddings(third, CHROM, silent).facts
    assert facts["cache_hits"] == facts["rows"]
    assert_same_vectors(third, undisturbed)


def test_a_full_disk_stops_the_partition_with_a_clear_error_and_the_rerun_keeps_what_fitted(
    study, undisturbed, monkeypatch
):
    folder = store_folder(study)

    class Full(vector_files.FileIO):
        def write(self, data):
            if len(shards_of(study)) == 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    with monkeypatch.context() as patch:
        patch.setattr(vector_files, "FileIO", Full)
        with pytest.raises(StorageError, match=rf"{folder} has no room.*free space and materialise again"):
            make_variant_embeddings(study, CHROM, silent)
    assert study.variant_embeddings(CHROM).current() is None
    assert {path.suffix for path in folder.iterdir()} == {".npy", ".parquet"}
    assert all(path.with_suffix(".parquet").exists() for path in folder.glob("*"))
    kept = sum(map(len, shards_of(study).values()))

    facts = make_variant_embeddings(study, CHROM, silent).facts
    assert facts["cache_hits"] == kept
    assert_each_key_once(study, facts["rows"])
    assert_same_vectors(study, undisturbed)
