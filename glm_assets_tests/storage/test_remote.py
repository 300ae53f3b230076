"""The embedding store at a URL: what a folder promises holds there too, whatever becomes of the copies here.

Most tests use fsspec's file system in memory; those marked `system` a real server that speaks S3.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import signal
import uuid
from collections.abc import Callable
from pathlib import Path

import fsspec
import polars as pl
import pytest
from fsspec.registry import known_implementations

from glm_assets.errors import FormatError, MissingUpstreamError, StorageError
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets.storage.mirror import Mirror
from glm_assets_tests.storage.servers import BUCKET, environment, nothing_listens, serve_refusals, serve_s3
from glm_assets_tests.storage.stores import add, assert_right, flip_a_byte, keys_of, start_writer, vectors_of


class Remote:
    """A URL of its own and a look at what lies there, past the store."""

    def __init__(self, base: str, caches: Path) -> None:
        self.url = f"{base}/{uuid.uuid4().hex}"
        self.files, self.root = fsspec.core.url_to_fs(self.url, use_listings_cache=False, skip_instance_cache=True)
        self.caches = caches

    def store(self, cache: str = "here", **options) -> EmbeddingStore:
        """Open it as a machine with the cache of that name would."""
        return EmbeddingStore(self.url, cache=self.caches / cache, **options)

    def names(self, suffix: str = "") -> list[str]:
        found = self.files.find(self.root) if self.files.exists(self.root) else []
        return sorted(name.rpartition("/")[2] for name in found if name.endswith(suffix))

    def change(self, name: str, change: Callable[[Path], None]) -> None:
        """Damage a file there."""
        local = self.caches / "damage"
        self.files.get_file(f"{self.root}/{name}", str(local))
        change(local)
        self.files.put_file(str(local), f"{self.root}/{name}")


@pytest.fixture
def s3(monkeypatch):
    with serve_s3() as address:
        for name, value in environment(address).items():
            monkeypatch.setenv(name, value)
        yield f"s3://{BUCKET}"


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.system)])
def remote(request, tmp_path) -> Remote:
    base = request.getfixturevalue("s3") if request.param == "s3" else "memory://stores"
    return Remote(base, tmp_path)


def test_what_one_machine_appends_another_reads_and_misses_only_the_rest(remote):
    here, there = remote.store(), remote.store("there")
    assert there.missing(keys_of(*range(4))).all()
    add(here, *range(3))
    add(here, *range(3, 7))
    assert there.missing(keys_of(6, "x", 0)).tolist() == [False, True, False]
    assert_right(there, keys_of(6, 0, 3, 3))
    assert not there.missing(add(here, 7)).any()
    sequences = keys_of("s")
    there.append_sequences(sequences, vectors_of(sequences)[0])
    assert here.read_sequences(sequences).tolist() == vectors_of(sequences)[0].tolist()
    assert len(remote.names(".npy")) == len(remote.names(".parquet")) == 4
    assert len(remote.names()) == 8


def test_a_dtype_that_is_too_coarse_counts_as_missing(remote):
    keys = add(remote.store(dtype="float16"), "a")
    assert remote.store("there").missing(keys).all()
    assert not remote.store("there", dtype="float16").missing(keys).any()


def test_vectors_are_fetched_once_and_copies_may_be_removed_at_any_time(remote, monkeypatch):
    keys = add(remote.store(), *range(5))
    fetched: list[str] = []
    download = Mirror.download
    monkeypatch.setattr(
        Mirror, "download", lambda self, name, dest: fetched.append(name) or download(self, name, dest)
    )
    assert_right(remote.store(), keys)  # what this machine wrote is here
    assert fetched == []
    for _ in range(2):
        assert_right(remote.store("there"), keys)
    assert fetched == remote.names(".npy")
    shutil.rmtree(remote.caches / "there")
    assert_right(remote.store("there"), keys)


def test_copies_that_are_damaged_here_are_fetched_again(remote):
    keys = add(remote.store(), *range(5))
    for suffix in (".npy", ".parquet"):
        (copy,) = remote.store().folder.glob(f"*{suffix}")
        flip_a_byte(copy)
        store = remote.store()
        assert_right(store, keys)
        assert store.damaged == 0
    assert len(remote.names(".damaged")) == 0


def test_a_shard_of_another_size_is_missing_set_aside_there_and_computed_again(remote, caplog):
    kept = add(remote.store(), "kept")
    before = set(remote.names(".npy"))
    lost = add(remote.store(), "lost")
    (name,) = set(remote.names(".npy")) - before
    remote.change(name, lambda path: path.write_bytes(path.read_bytes()[:-3]))
    store = remote.store("there")
    with caplog.at_level(logging.WARNING):
        assert store.missing(pl.concat([kept, lost])).tolist() == [False, True]
    assert store.damaged == 1
    assert f"{remote.url} is set aside and will be computed again" in caplog.text
    assert remote.names(".damaged") == [f"{name}.damaged", f"{Path(name).stem}.parquet.damaged"]
    add(store, "lost")
    assert_right(remote.store(), pl.concat([kept, lost]))


def test_a_flipped_byte_is_found_when_the_shard_is_fetched_and_then_missing(remote):
    keys = add(remote.store(), "kept")
    before = set(remote.names(".npy"))
    lost = add(remote.store(), "lost")
    (name,) = set(remote.names(".npy")) - before
    remote.change(name, flip_a_byte)
    store = remote.store("there")
    with pytest.raises(MissingUpstreamError, match=f"1 of 2 keys have no vectors in {remote.url}"):
        store.read(pl.concat([keys, lost]))
    assert store.damaged == 1
    assert len(remote.names(".damaged")) == 2
    again = remote.store("there")
    assert again.missing(pl.concat([keys, lost])).tolist() == [False, True]
    add(again, "lost")
    assert_right(remote.store("elsewhere"), pl.concat([keys, lost]))


def test_an_unreadable_index_is_set_aside_there(remote):
    keys = add(remote.store(), "a")
    (name,) = remote.names(".parquet")
    remote.change(name, lambda path: path.write_bytes(path.read_bytes()[:50]))
    store = remote.store("there")
    assert store.missing(keys).all()
    assert store.damaged == 1
    assert f"{name}.damaged" in remote.names()


def test_a_writer_that_fails_between_vectors_and_index_leaves_no_shard_and_sweeping_removes_the_rest(
    remote, monkeypatch
):
    kept = add(remote.store(), "kept")
    upload = Mirror.upload

    def fail(self, path):
        if path.suffix == ".parquet":
            raise StorageError("cut off")
        upload(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(Mirror, "upload", fail)
        with pytest.raises(StorageError):
            add(remote.store(), "lost")
    store = remote.store()
    assert len(list(store.folder.glob("*.npy"))) == 1
    assert store.missing(keys_of("kept", "lost")).tolist() == [False, True]
    assert len(remote.names(".npy")) == 2
    assert store.sweep() == 0  # the writer may be at work
    assert store.sweep(min_age_s=-1) == 1
    assert len(remote.names(".npy")) == 1
    assert_right(remote.store("there"), kept)


def test_a_range_error_leaves_nothing_there(remote):
    keys = keys_of("large")
    with pytest.raises(FormatError):
        remote.store(dtype="float16").append(keys, vectors_of(keys)[0] * 1e6, vectors_of(keys)[1])
    assert remote.names() == []


def test_a_cache_without_room_is_named_and_the_store_stays_readable_elsewhere(remote, monkeypatch):
    keys = add(remote.store(), "a")
    store = remote.store("there")
    assert not store.missing(keys).any()

    def full(rpath, lpath):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(store._place._mirror._files, "get_file", full)
        with pytest.raises(StorageError, match=rf"{remote.caches / 'there'}.* has no room.*are free"):
            store.read(keys)
    assert [path for path in store.folder.iterdir() if path.name.startswith(".")] == []
    assert_right(store, keys)


def test_an_unknown_address_and_a_missing_package_are_named_with_the_fix(tmp_path, monkeypatch):
    with pytest.raises(StorageError, match=r"'nope' is no object store.*s3://.*correct GLM_EMBEDDINGS_URL"):
        EmbeddingStore("nope://x/y", cache=tmp_path)
    monkeypatch.setitem(known_implementations, "gs", {"class": "no_gs.File", "err": "no gcsfs here"})
    with pytest.raises(StorageError, match=r"gs://x/y.*no gcsfs here.*pip install 'glm_assets\[s3\]'"):
        EmbeddingStore("gs://x/y", cache=tmp_path)
    with pytest.raises(StorageError, match="GLM_LOCAL_DIR"):
        EmbeddingStore("memory://x/y")


def test_no_message_shows_a_password(tmp_path):
    with pytest.raises(StorageError) as caught:
        EmbeddingStore("nope://user:pass@host/y?token=pass", cache=tmp_path)
    assert "'nope' is no object store" in str(caught.value)
    assert "pass" not in str(caught.value)


@pytest.mark.system
@pytest.mark.parametrize(
    ("serve", "bucket", "reason"),
    [
        (serve_s3, "absent", "bucket does not exist.*make the bucket"),
        (serve_refusals, BUCKET, "Access Denied.*let these credentials"),
        (nothing_listens, BUCKET, "Could not connect.*check the network, AWS_ENDPOINT_URL"),
    ],
)
def test_a_store_that_cannot_be_reached_says_why(tmp_path, monkeypatch, serve, bucket, reason):
    with serve() as address:
        for name, value in environment(address).items():
            monkeypatch.setenv(name, value)
        store = EmbeddingStore(f"s3://{bucket}/folder", cache=tmp_path)
        for action in (store.sweep, lambda: store.missing(keys_of("a")), lambda: add(store, "a")):
            with pytest.raises(StorageError, match=rf"s3://{bucket}/folder cannot be .*{reason}"):
                action()
    assert list(tmp_path.rglob("*.npy")) == []


@pytest.mark.system
def test_without_credentials_the_error_says_so(tmp_path, monkeypatch, s3):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(StorageError, match=r"Unable to locate credentials.*check the network"):
        EmbeddingStore(f"{s3}/folder", cache=tmp_path).missing(keys_of("a"))


@pytest.mark.system
def test_two_processes_that_append_to_one_url_lose_nothing(tmp_path, s3):
    remote = Remote(s3, tmp_path)
    writers = [
        start_writer(remote.url, 0, 60, tmp_path / "one"),
        start_writer(remote.url, 30, 90, tmp_path / "other"),
        start_writer(remote.url, 60, 120, tmp_path / "one"),  # and two share a machine
    ]
    for writer in writers:
        writer.communicate(timeout=120)
        assert writer.returncode == 0
    store = remote.store()
    assert_right(store, keys_of(*range(120)))
    assert len(remote.names(".npy")) == len(remote.names(".parquet")) == 36
    assert store.damaged == 0


@pytest.mark.system
def test_a_writer_killed_at_any_moment_loses_no_shard_that_it_had_finished(tmp_path, s3):
    remote = Remote(s3, tmp_path)
    writer = start_writer(remote.url, 0, 100_000, tmp_path / "victim")
    assert writer.stdout is not None
    published = [int(writer.stdout.readline()) for _ in range(7)]
    os.kill(writer.pid, signal.SIGKILL)
    published += [int(line) for line in writer.communicate(timeout=60)[0].split()]
    for cache in ("victim", "other"):
        store = remote.store(cache)
        assert_right(store, keys_of(*range(published[-1] + 5)))
        assert store.missing(keys_of(*range(published[-1] + 10, published[-1] + 100))).all()
        assert store.damaged == 0
