"""A disk that fills up in any stage: the error says so and what to do, and the rerun needs no cleaning by hand."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import duckdb
import polars as pl
import pytest

from glm_assets.errors import FormatError, StorageError
from glm_assets.lineage.study import Study
from glm_assets.storage import disk_space
from glm_assets.storage.disk_space import explained_room, free_bytes
from glm_assets.storage.products import Manifest, Product
from glm_assets.storage.warehouse import WAREHOUSE
from glm_assets_tests.faults.kills import STAGES
from glm_assets_tests.lineage.studies import tiny_study
from glm_assets_tests.namespaces import run_in_a_namespace

SAID = "No space left on device"


def raising(error: Exception):
    def build(work: Path):
        (work / "begun").write_bytes(bytes(4321))
        raise error

    return build


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, SAID),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        pl.exceptions.ComputeError(f"{SAID} (os error 28)"),
        duckdb.IOException(f'IO Error: Could not write file "x": {SAID}'),
        RuntimeError("database or disk is full"),
    ],
    ids=["system", "quota", "polars", "duckdb", "sqlite"],
)
def test_whatever_library_meets_the_full_disk_the_product_explains_it_and_can_be_made_later(tmp_path, error):
    product = Product("made", tmp_path / "made", {}, {}, "1")
    with pytest.raises(StorageError) as caught:
        product.make(raising(error))
    said = str(caught.value)
    assert "has no room: more than the 4,321 bytes that are written are needed" in said
    assert f"{free_bytes(tmp_path):,}"[:3] in said
    assert "free space" in said
    assert "materialise again" in said
    assert product.current() is None
    assert not product.folder.exists()
    assert product.make(lambda work: {"rows": (work / "begun").write_bytes(b"now")}).facts == {"rows": 3}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".made.lock", "made"]


def test_an_error_of_an_unknown_library_on_a_disk_without_room_is_explained_too(tmp_path, monkeypatch):
    broken = RuntimeError("unexpected pos 64 vs 0")  # as torch says it
    with pytest.raises(RuntimeError, match="unexpected pos"), explained_room(tmp_path):
        raise broken
    monkeypatch.setattr(disk_space, "free_bytes", lambda folder: 0)
    with pytest.raises(StorageError, match=r"has no room.*0 are free.*unexpected pos"), explained_room(tmp_path):
        raise broken


def test_our_own_errors_pass(tmp_path):
    with pytest.raises(FormatError), explained_room(tmp_path):
        raise FormatError(SAID)


def fill(disk: Path, left: int) -> Path:
    """Leave so many bytes on a disk."""
    ballast = disk / "ballast"
    with ballast.open("wb") as stream:
        stream.write(bytes(max(0, free_bytes(disk) - left)))
    return ballast


def assert_stage_explains(study: Study, disk: Path, name: str, left: int) -> None:
    ballast = fill(disk, left)
    with pytest.raises(StorageError, match=r"has no room.*are free.*free space"):
        STAGES[name].make(study)
    if name != "clinvar_release":  # whose folder is named after what is not there
        assert Manifest.read(STAGES[name].folder(study)) is None
    ballast.unlink()
    assert not STAGES[name].make(study).reused
    assert STAGES[name].make(study).reused


def on_tiny_disk(disk: Path, tree: Path) -> None:
    """What is done on a disk of 64 MB."""
    study = tiny_study(disk, tree)
    for name, left in (
        ("clinvar_release", 4096),  # the download
        ("reference_genome", 8192),
        ("clinvar_variants/21", 12_288),
        ("variant_windows/21", 4096),
        ("clinvar_variants/22", 8192),
        ("variant_windows/22", 8192),
    ):
        assert_stage_explains(study, disk, name, left)
    STAGES["glm_checkpoint"].make(study)
    for name, left in (("variant_embeddings/21", 8192), ("variant_embeddings/22", 8192), ("split_audit", 4096)):
        assert_stage_explains(study, disk, name, left)
    STAGES["mutation_ladders"].make(study)
    for left in (8192, 60_000, 150_000):  # in the first checkpoint, a later one, or the soup
        assert_stage_explains(study, disk, "head_v0", left)
        shutil.rmtree(study.head_folder("head_v0"))

    study.refresh_warehouse()
    before = (study.root / WAREHOUSE).read_bytes()
    ballast = fill(disk, 8192)
    with pytest.raises(StorageError, match="has no room"):
        study.refresh_warehouse()
    assert (study.root / WAREHOUSE).read_bytes() == before
    ballast.unlink()
    assert study.refresh_warehouse()
    assert [path for path in study.root.glob(".*duckdb*") if path.suffix != ".lock"] == []


TINY_DISK = """
import os, sys
from pathlib import Path
from glm_assets_tests.faults.test_disk import on_tiny_disk
disk = Path(sys.argv[1])
if os.system(f"mount -t tmpfs -o size=64m tmpfs '{disk}'"):
    sys.exit(77)
on_tiny_disk(disk, Path(sys.argv[2]))
print("survived")
"""


@pytest.mark.system
def test_a_disk_that_is_really_full_in_each_kind_of_stage(tmp_path, tiny_tree):
    """On a file system in a mount namespace of its own, so that nothing stays mounted."""
    pytest.importorskip("vortex")
    run_in_a_namespace(TINY_DISK, tmp_path, tiny_tree, said="survived")
