"""Files of vectors: NumPy reads what NumPy would have written, and the record is that of the file."""

from __future__ import annotations

import numpy as np
import pytest

from glm_assets.errors import FormatError
from glm_assets.storage import vector_files
from glm_assets.storage.products import FileRecord
from glm_assets.storage.vector_files import write_vectors


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("rows", [0, 1, 7])
def test_the_file_is_the_one_numpy_would_write_and_its_record_is_true(tmp_path, monkeypatch, rows, dtype):
    monkeypatch.setattr(vector_files, "_BLOCK_BYTES", 200)  # several blocks, the last one shorter
    scales = np.logspace(-8, 4, 11, dtype=np.float32)  # down to numbers that float16 rounds to zero
    ref, delta = np.random.default_rng(0).normal(size=(2, rows, 11)).astype(np.float32) * scales
    record = write_vectors(tmp_path / "ours.npy", (ref, delta), np.dtype(dtype))
    np.save(tmp_path / "numpy.npy", np.stack([ref, delta], axis=1).astype(dtype))
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()
    assert record == FileRecord.of(tmp_path / "ours.npy")


def test_infinities_and_nans_are_kept_but_do_not_hide_a_number_beyond_the_range(tmp_path):
    broken = np.array([[np.nan, np.inf, -np.inf, 65519.0]], np.float32)
    write_vectors(tmp_path / "a.npy", (broken,), np.dtype("float16"))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy")[0], broken.astype(np.float16))
    with pytest.raises(FormatError, match=r"6\.55e\+04.*float16"):
        write_vectors(tmp_path / "b.npy", (broken, broken + 1), np.dtype("float16"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_parts_of_different_shapes_are_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(FormatError, match="different shapes"):
        write_vectors(tmp_path / "a.npy", (np.ones((2, 3), "f4"), np.ones((1, 3), "f4")), np.dtype("float32"))
    assert list(tmp_path.iterdir()) == []
