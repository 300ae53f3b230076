"""The embedding store: what is put in comes out, whatever was killed, damaged or written at the same time."""

from __future__ import annotations

import errno
import logging
import os
import signal
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from glm_assets.errors import FormatError, MissingUpstreamError, StorageError
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets.storage.shards import ShardFolder
from glm_assets_tests.storage.stores import add, assert_right, flip_a_byte, keys_of, start_writer, vectors_of


def test_vectors_come_back_in_the_order_asked_for_across_shards_and_repeatedly(tmp_path):
    store = EmbeddingStore(tmp_path / "store")
    add(store, *range(5))
    add(store, *range(5, 12))
    asked = keys_of(11, 0, 7, 7, 3, 5)
    assert_right(store, asked)
    assert_right(EmbeddingStore(tmp_path / "store"), asked)
    assert len(list(store.folder.glob("*.npy"))) == 2


def test_only_keys_without_vectors_are_missing(tmp_path):
    store = EmbeddingStore(tmp_path / "store")
    asked = keys_of("a", "b", "c", "a")
    assert store.missing(asked).tolist() == [True] * 4
    add(store, "c", "a")
    assert store.missing(asked).tolist() == [False, True, False, False]
    assert store.missing(keys_of()).tolist() == []


def test_what_another_process_published_meanwhile_is_seen(tmp_path):
    reader, writer = EmbeddingStore(tmp_path), EmbeddingStore(tmp_path)
    assert reader.missing(keys_of("a")).all()
    keys = add(writer, "a")
    assert not reader.missing(keys).any()
    assert_right(reader, keys)


def test_reading_an_absent_key_is_an_error_with_the_count(tmp_path):
    store = EmbeddingStore(tmp_path)
    add(store, "a")
    with pytest.raises(MissingUpstreamError, match="2 of 3 keys"):
        store.read(keys_of("b", "a", "c"))


def test_no_keys_give_no_vectors(tmp_path):
    ref, delta = EmbeddingStore(tmp_path).read(keys_of())
    assert len(ref) == len(delta) == 0


def test_sequences_have_one_vector_and_are_not_taken_for_pairs(tmp_path):
    store = EmbeddingStore(tmp_path)
    keys = keys_of("s", "t")
    vectors = vectors_of(keys)[0]
    store.append_sequences(keys, vectors)
    assert np.array_equal(store.read_sequences(keys[::-1]), vectors[::-1])
    with pytest.raises(FormatError, match="1 vectors each"):
        store.read(keys)
    with pytest.raises(FormatError, match="2 vectors each"):
        store.read_sequences(add(store, "pair"))


def test_float16_keeps_the_difference_because_it_is_stored_on_its_own(tmp_path):
    store = EmbeddingStore(tmp_path, dtype="float16")
    keys = keys_of(*range(50))
    ref, delta = vectors_of(keys, 64)
    delta *= np.float32(0.1)  # 1e-4 of the reference, as for a single base in a long window
    store.append(keys, ref, delta)
    read_ref, read_delta = store.read(keys)
    assert np.corrcoef(read_delta.ravel(), delta.ravel())[0, 1] > 0.99999
    rounded_pair = (ref + delta).astype(np.float16).astype(np.float32) - ref.astype(np.float16).astype(np.float32)
    assert np.corrcoef(rounded_pair.ravel(), delta.ravel())[0, 1] < 0.9
    assert np.abs(read_ref - ref).max() < 2e-3
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 50 * 2 * 64 * 2 + 6000


def test_a_number_beyond_float16_is_refused_and_nothing_is_written(tmp_path):
    store = EmbeddingStore(tmp_path / "store", dtype="float16")
    keys = keys_of("large")
    large = np.array([[1.0, 7e4]], np.float32)
    with pytest.raises(FormatError, match=r"7e\+04.*store_dtype to float32"):
        store.append(keys, large, large)
    assert list((tmp_path / "store").iterdir()) == []
    EmbeddingStore(tmp_path / "store").append(keys, large, large)


def test_vectors_of_a_coarser_type_are_missing_and_finer_ones_are_not(tmp_path):
    keys = add(EmbeddingStore(tmp_path, dtype="float16"), "a")
    fine = EmbeddingStore(tmp_path)
    assert fine.missing(keys).all()
    add(fine, "a")
    assert_right(EmbeddingStore(tmp_path), keys)
    assert not EmbeddingStore(tmp_path, dtype="float16").missing(keys).any()


def test_sequences_keep_float32_whatever_the_type_of_pairs(tmp_path):
    store = EmbeddingStore(tmp_path, dtype="float16")
    keys = keys_of("ref", "var")
    vectors = vectors_of(keys)[0]
    store.append_sequences(keys, vectors)
    assert np.array_equal(store.read_sequences(keys), vectors)


def test_sequences_are_float16_for_those_who_ask_and_missing_for_those_who_do_not(tmp_path):
    coarse = EmbeddingStore(tmp_path, sequence_dtype="float16")
    keys = keys_of("a", "b")
    vectors = vectors_of(keys, 500)[0]
    coarse.append_sequences(keys, vectors)
    assert np.array_equal(coarse.read_sequences(keys), vectors.astype(np.float16).astype(np.float32))
    assert not EmbeddingStore(tmp_path, "float16", sequence_dtype="float16").missing(keys).any()
    fine = EmbeddingStore(tmp_path, dtype="float16")  # of pairs only
    assert fine.missing(keys).all()
    fine.append_sequences(keys, vectors)
    assert np.array_equal(EmbeddingStore(tmp_path).read_sequences(keys), vectors)
    pairs = add(EmbeddingStore(tmp_path), "pair")
    assert not EmbeddingStore(tmp_path, "float32", sequence_dtype="float16").missing(pairs).any()
    with pytest.raises(FormatError, match="'int8'"):
        EmbeddingStore(tmp_path, sequence_dtype="int8")


def test_sequences_are_read_some_at_a_time_in_any_order(tmp_path):
    store = EmbeddingStore(tmp_path, sequence_dtype="float16")
    keys = keys_of(*range(12))
    vectors = vectors_of(keys, 100)[0].astype(np.float16).astype(np.float32)
    for start in range(0, 12, 5):
        store.append_sequences(keys[start : start + 5], vectors[start : start + 5])
    add(store, "pair")
    reader = store.open_sequences(keys[::-1])
    assert (len(reader), reader.dimension) == (12, 100)
    out = np.empty((5, 1, 100), np.float16)
    reader.read_into(out, np.array([11, 3, 3, 0, 7]))
    assert np.array_equal(out[:, 0].astype(np.float32), vectors[::-1][[11, 3, 3, 0, 7]])
    with pytest.raises(FormatError, match="2 vectors each"):
        store.open_sequences(keys_of("pair"))


def test_encoders_of_other_dimensions_share_a_folder_but_not_a_call(tmp_path):
    store = EmbeddingStore(tmp_path)
    narrow, wide = add(store, "narrow"), keys_of("wide")
    store.append(wide, *vectors_of(wide, 6))
    assert store.read(wide)[0].shape == (1, 6)
    with pytest.raises(FormatError, match="different shapes"):
        store.read(pl.concat([narrow, wide]))


@pytest.mark.parametrize("bad", ["abc", "z" * 64, "0" * 62, None])
def test_something_that_is_no_digest_is_refused_as_a_key(tmp_path, bad):
    with pytest.raises(FormatError, match="64 hexadecimal digits"):
        EmbeddingStore(tmp_path).missing(pl.Series([keys_of("a")[0], bad], dtype=pl.String))


def test_keys_and_vectors_of_different_counts_are_refused_and_nothing_is_written(tmp_path):
    store = EmbeddingStore(tmp_path / "store")
    with pytest.raises(FormatError, match="2 keys for 1 vectors"):
        store.append(keys_of("a", "b"), *vectors_of(keys_of("a")))
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("place", ["file://{}", "{}"])
def test_a_folder_may_be_named_by_text_or_a_file_address(tmp_path, place):
    keys = add(EmbeddingStore(tmp_path / "a store"), "a")
    named = EmbeddingStore(place.format(str(tmp_path / "a store").replace(" ", "%20" if "://" in place else " ")))
    assert named.folder == tmp_path / "a store"
    assert_right(named, keys)


def test_an_unknown_stored_type_is_refused():
    with pytest.raises(FormatError, match=r"'int8'.*float32, float16"):
        EmbeddingStore(None, dtype="int8")  # type: ignore[arg-type]


def test_a_writer_killed_between_vectors_and_index_leaves_no_shard_and_can_be_repeated(tmp_path, monkeypatch):
    store = EmbeddingStore(tmp_path)
    kept = add(store, "kept")
    with monkeypatch.context() as patch:
        patch.setattr(ShardFolder, "_write_index", lambda *args: _killed())
        with pytest.raises(KeyboardInterrupt):
            add(store, "lost")
    assert len(list(tmp_path.glob("*.npy"))) == 2
    again = EmbeddingStore(tmp_path)
    assert again.missing(keys_of("kept", "lost")).tolist() == [False, True]
    assert again.damaged == 0
    add(again, "lost")
    assert_right(again, pl.concat([kept, keys_of("lost")]))


def _killed():
    raise KeyboardInterrupt


def test_sweeping_removes_what_killed_writers_left_and_nothing_else(tmp_path):
    store = EmbeddingStore(tmp_path)
    kept = add(store, "kept")
    old = time.time() - 7200
    for name in (".0123456789ab.half.npy", "orphan.npy"):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (old, old))
    (tmp_path / "young.npy").write_bytes(b"x")
    for path in tmp_path.glob("[0-9a-f]*"):
        os.utime(path, (old, old))
    assert store.sweep() == 2
    assert (tmp_path / "young.npy").exists()
    assert_right(EmbeddingStore(tmp_path), kept)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-4])


def remove(path):
    path.unlink()


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
@pytest.mark.parametrize("harm", [flip_a_byte, cut_short, remove])
def test_a_damaged_shard_is_counted_set_aside_and_computed_again(tmp_path, caplog, harm, suffix):
    store = EmbeddingStore(tmp_path)
    add(store, "good")
    before = set(tmp_path.glob(f"*{suffix}"))
    add(store, "bad", "worse")
    (victim,) = set(tmp_path.glob(f"*{suffix}")) - before
    harm(victim)

    again = EmbeddingStore(tmp_path)
    asked = keys_of("good", "bad", "worse")
    with caplog.at_level(logging.WARNING):
        assert again.missing(asked).tolist() == [False, True, True]
    silent = harm is remove and suffix == ".parquet"  # vectors without an index were never published
    assert again.damaged == (0 if silent else 1)
    assert ("will be computed again" in caplog.text) is not silent
    add(again, "bad", "worse")
    assert_right(again, asked)

    later = EmbeddingStore(tmp_path)
    assert_right(later, asked)
    assert later.damaged == 0


def test_a_copied_store_is_believed_after_its_checksums_were_read(tmp_path):
    store = EmbeddingStore(tmp_path / "store")
    keys = add(store, "a", "b")
    for path in (tmp_path / "store").iterdir():
        os.utime(path, (1, 1))
    copied = EmbeddingStore(tmp_path / "store")
    assert_right(copied, keys)
    assert copied.damaged == 0


def test_a_copied_store_is_read_through_once_only(tmp_path, monkeypatch):
    keys = add(EmbeddingStore(tmp_path), "a", "b")
    (vectors,) = tmp_path.glob("*.npy")
    os.utime(vectors, (1, 1))
    assert_right(EmbeddingStore(tmp_path), keys)
    monkeypatch.setattr("glm_assets.storage.vector_files._checksum", lambda path: pytest.fail("read again"))
    assert_right(EmbeddingStore(tmp_path), keys)


def test_a_changed_key_in_an_index_is_damage_too(tmp_path):
    keys = add(EmbeddingStore(tmp_path), "a", "b")
    (index,) = tmp_path.glob("*.parquet")
    content = index.read_bytes()
    assert content.count(bytes.fromhex(keys[0])) >= 1
    index.write_bytes(content.replace(bytes.fromhex(keys[0]), bytes.fromhex(keys[0])[::-1]))
    store = EmbeddingStore(tmp_path)
    assert store.missing(keys).all()
    assert store.damaged == 1


def test_a_shard_that_another_process_sets_aside_is_missing_in_a_store_that_is_open(tmp_path):
    store = EmbeddingStore(tmp_path)
    kept, lost = add(store, "kept"), add(store, "lost")
    assert not store.missing(pl.concat([kept, lost])).any()
    (index,) = (path for path in tmp_path.glob("*.parquet") if bytes.fromhex(lost[0]) in path.read_bytes())
    flip_a_byte(index.with_suffix(".npy"))
    assert EmbeddingStore(tmp_path).missing(lost).all()  # the other process
    assert store.missing(pl.concat([kept, lost])).tolist() == [False, True]
    assert_right(store, kept)


def test_vectors_that_vanish_while_the_store_is_open_are_read_from_another_shard_or_missing(tmp_path):
    store = EmbeddingStore(tmp_path)
    twice = add(store, "twice", "once")
    assert_right(store, twice)
    (first,) = tmp_path.glob("*.npy")
    add(store, "twice")
    assert store.missing(twice).tolist() == [False, False]  # a row for each key, whoever has it too
    first.unlink()
    assert_right(store, keys_of("twice"))
    with pytest.raises(MissingUpstreamError, match="1 of 2 keys"):
        store.read(twice)
    assert store.damaged == 1


def test_an_index_that_may_not_be_read_is_an_error_and_not_damage(tmp_path, monkeypatch):
    keys = add(EmbeddingStore(tmp_path), "a")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", _too_many_files)
        with pytest.raises(StorageError, match=r"parquet cannot be read \(Too many open files\)"):
            EmbeddingStore(tmp_path).missing(keys)
    assert_right(EmbeddingStore(tmp_path), keys)


def _too_many_files(path):
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def test_a_store_of_many_shards_opens_in_a_second(tmp_path):
    store, names = EmbeddingStore(tmp_path), [f"{shard} {row}" for shard in range(400) for row in range(8)]
    keys = keys_of(*names)
    for shard in keys.to_frame("key").iter_slices(8):
        store.append(shard["key"], *vectors_of(shard["key"]))
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        assert not EmbeddingStore(tmp_path).missing(keys).any()
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 1


def test_two_processes_that_append_at_once_lose_nothing_and_duplicates_do_no_harm(tmp_path):
    writers = [start_writer(tmp_path, 0, 100), start_writer(tmp_path, 50, 150)]
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    store = EmbeddingStore(tmp_path)
    assert_right(store, keys_of(*range(150)))
    assert len(list(store.folder.glob("*.npy"))) == 40
    assert store.damaged == 0


def test_a_writer_killed_at_any_moment_leaves_a_readable_store(tmp_path):
    writer = start_writer(tmp_path, 0, 100_000)
    assert writer.stdout is not None
    published = [int(writer.stdout.readline()) for _ in range(7)]
    os.kill(writer.pid, signal.SIGKILL)
    rest = writer.communicate(timeout=60)[0]
    published += [int(line) for line in rest.split()]
    store = EmbeddingStore(tmp_path)
    assert not store.missing(keys_of(*range(published[-1] + 5))).any()
    assert_right(store, keys_of(*range(published[-1] + 5)))
    assert store.damaged == 0
