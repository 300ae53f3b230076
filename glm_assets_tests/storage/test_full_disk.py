"""A full disk: a clear error, nothing half-written, a store that can be read, and a run that goes on afterwards."""

from __future__ import annotations

import errno
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glm_assets.errors import StorageError
from glm_assets.storage import vector_files
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets.storage.shards import ShardFolder
from glm_assets_tests.namespaces import run_in_a_namespace
from glm_assets_tests.storage.stores import REPOSITORY, add, assert_right, keys_of

ROWS, DIMENSION = 64, 1024  # a shard of half a megabyte


def fill(folder: Path) -> tuple[int, StorageError]:
    """Append shards of one number each until one does not fit; how many did, and the error."""
    for number in range(100):
        try:
            append_block(EmbeddingStore(folder), number)
        except StorageError as error:
            return number, error
    raise AssertionError("everything fitted")


def append_block(store: EmbeddingStore, number: int) -> None:
    block = np.full((ROWS, DIMENSION), number, np.float32)
    store.append(keys_of(*(f"{number} {row}" for row in range(ROWS))), block, -block)


def assert_clear_and_readable(folder: Path, fitted: int, error: str) -> None:
    """The error says what to do, no temporary file is left, and every shard that fitted can be read."""
    assert str(folder) in error
    assert (needed := re.search(r"([\d,]+) bytes are needed", error))
    assert int(needed[1].replace(",", "")) == ROWS * DIMENSION * 2 * 4 + ROWS * 32
    assert re.search(r"[\d,]+ are free", error)
    assert "free space and materialise again: finished shards are kept" in error
    assert sorted(path.suffix for path in folder.iterdir()) == [".npy"] * fitted + [".parquet"] * fitted
    store = EmbeddingStore(folder)
    for number in range(fitted):
        ref, delta = store.read(keys_of(*(f"{number} {row}" for row in range(ROWS))))
        assert (ref == number).all()
        assert (delta == -number).all()
    assert store.damaged == 0


TINY_DISK = """
import os, sys
from pathlib import Path
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets_tests.storage.test_full_disk import append_block, assert_clear_and_readable, fill
disk = Path(sys.argv[1])
if os.system(f"mount -t tmpfs -o size=4m tmpfs '{disk}'"):
    sys.exit(77)
ballast = disk / "ballast"
ballast.write_bytes(bytes(1_500_000))
fitted, error = fill(disk / "store")
assert 2 <= fitted <= 6, fitted
assert "No space left on device" in str(error), error
assert_clear_and_readable(disk / "store", fitted, str(error))
ballast.unlink()
append_block(EmbeddingStore(disk / "store"), fitted)
assert len(list((disk / "store").iterdir())) == 2 * (fitted + 1)
print("fitted", fitted)
"""


@pytest.mark.system
def test_a_disk_that_is_really_full(tmp_path):
    """On a file system of 4 MB in a mount namespace of its own, so that nothing stays mounted."""
    run_in_a_namespace(TINY_DISK, tmp_path, said="fitted")


LIMITED = """
import resource, sys
from pathlib import Path
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets_tests.storage.test_full_disk import append_block, assert_clear_and_readable
from glm_assets.errors import StorageError
folder = Path(sys.argv[1])
append_block(EmbeddingStore(folder), 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
try:
    append_block(EmbeddingStore(folder), 1)
except StorageError as error:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert_clear_and_readable(folder, 1, str(error))
    append_block(EmbeddingStore(folder), 1)
    print("explained")
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="this system limits no file sizes")
def test_a_process_that_may_write_no_larger_file(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "store")],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "explained\n", done.stderr


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_becomes_full_in_mid_file(tmp_path, monkeypatch, code):
    append_block(EmbeddingStore(tmp_path), 0)
    with monkeypatch.context() as patch:

        class Full(vector_files.FileIO):
            def write(self, data):
                if self.tell() > 100_000:
                    raise OSError(code, os.strerror(code))
                return super().write(memoryview(data)[:65_536])

        patch.setattr(vector_files, "FileIO", Full)
        with pytest.raises(StorageError, match=os.strerror(code)) as caught:
            append_block(EmbeddingStore(tmp_path), 1)
    assert_clear_and_readable(tmp_path, 1, str(caught.value))
    append_block(EmbeddingStore(tmp_path), 1)


def test_a_disk_that_has_room_for_the_vectors_but_not_for_the_index(tmp_path, monkeypatch):
    append_block(EmbeddingStore(tmp_path), 0)

    def full(folder, name, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(ShardFolder, "_write_index", full)
        with pytest.raises(StorageError) as caught:
            append_block(EmbeddingStore(tmp_path), 1)
    assert_clear_and_readable(tmp_path, 1, str(caught.value))


def test_a_disk_that_reports_late_that_it_is_full(tmp_path, monkeypatch):
    """Network file systems take the bytes and complain when they are synced."""
    append_block(EmbeddingStore(tmp_path), 0)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(vector_files, "_SYNC_BYTES", 1)
        patch.setattr(vector_files.os, "fsync", full)
        with pytest.raises(StorageError) as caught:
            append_block(EmbeddingStore(tmp_path), 1)
    assert_clear_and_readable(tmp_path, 1, str(caught.value))


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        StorageError, match=r"file/store cannot be written to \(Not a directory\).*GLM_EMBEDDINGS_URL"
    ):
        add(EmbeddingStore(tmp_path / "file" / "store"), "a")
    keys = add(EmbeddingStore(tmp_path / "store"), "a")
    assert_right(EmbeddingStore(tmp_path / "store"), keys)
