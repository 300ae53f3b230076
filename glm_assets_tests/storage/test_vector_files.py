"""Files of vectors: NumPy reads what NumPy would have written, and the record is that of the file."""

from __future__ import annotations

import numpy as np
import pytest
import xxhash

from glm_assets.errors import FormatError
from glm_assets.storage import vector_files
from glm_assets.storage.vector_files import VectorFile, write_vectors


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("rows", [0, 1, 7])
def test_the_file_is_the_one_numpy_would_write_and_its_record_is_true(tmp_path, monkeypatch, rows, dtype):
    monkeypatch.setattr(vector_files, "_BLOCK_BYTES", 200)  # several blocks, the last one shorter
    scales = np.logspace(-8, 4, 11, dtype=np.float32)  # down to numbers that float16 rounds to zero
    ref, delta = np.random.default_rng(0).normal(size=(2, rows, 11)).astype(np.float32) * scales
    record = write_vectors(tmp_path / "ours.npy", (ref, delta), np.dtype(dtype))
    np.save(tmp_path / "numpy.npy", np.stack([ref, delta], axis=1).astype(dtype))
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()
    stat, content = (tmp_path / "ours.npy").stat(), (tmp_path / "ours.npy").read_bytes()
    assert record == VectorFile(stat.st_size, stat.st_mtime_ns, xxhash.xxh3_128_hexdigest(content), dtype, 2)
    assert record.holds(tmp_path / "ours.npy")


def test_infinities_and_nans_are_kept_but_do_not_hide_a_number_beyond_the_range(tmp_path):
    broken = np.array([[np.nan, np.inf, -np.inf, 65519.0]], np.float32)
    write_vectors(tmp_path / "a.npy", (broken,), np.dtype("float16"))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy")[0], broken.astype(np.float16))
    with pytest.raises(FormatError, match=r"6\.55e\+04.*float16"):
        write_vectors(tmp_path / "b.npy", (broken, broken + 1), np.dtype("float16"))
    with pytest.raises(FormatError, match=r"6\.55e\+04.*float16"):
        write_vectors(
            tmp_path / "b.npy", (np.ones((1, 4), "f4"), np.full((1, 4), -65520, "f4")), np.dtype("float16")
        )
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_parts_of_different_shapes_are_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(FormatError, match="different shapes"):
        write_vectors(tmp_path / "a.npy", (np.ones((2, 3), "f4"), np.ones((1, 3), "f4")), np.dtype("float32"))
    assert list(tmp_path.iterdir()) == []


def test_vectors_in_any_memory_order_are_written_row_by_row(tmp_path, monkeypatch):
    monkeypatch.setattr(vector_files, "_BLOCK_BYTES", 40)
    values = np.arange(60, dtype=np.float32).reshape(5, 12)
    parts = (values[:, ::-1][:, :6], np.asfortranarray(values[::-1, 3:9]))
    write_vectors(tmp_path / "a.npy", parts, np.dtype("float16"))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.stack(parts, axis=1))


def test_a_disk_that_takes_a_part_of_each_write_gets_the_whole_file(tmp_path, monkeypatch):
    class Slow(vector_files.FileIO):
        def write(self, data):
            return super().write(memoryview(data)[:7])

    values = np.arange(60, dtype=np.float32).reshape(5, 12)
    monkeypatch.setattr(vector_files, "FileIO", Slow)
    record = write_vectors(tmp_path / "a.npy", (values,), np.dtype("float32"))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy")[:, 0], values)
    assert record.size == (tmp_path / "a.npy").stat().st_size


def test_an_error_that_the_disk_reports_late_comes_up(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(vector_files.os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        write_vectors(tmp_path / "a.npy", (np.ones((2, 3), "f4"),), np.dtype("float32"))
    assert list(tmp_path.iterdir()) == []
