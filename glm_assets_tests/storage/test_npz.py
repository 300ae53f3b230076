"""Archives are streamed in blocks as NumPy wrote them, and damage, objects and odd layouts are our errors."""

from __future__ import annotations

import tracemalloc
import zipfile

import numpy as np
import pytest

from glm_assets.errors import FormatError
from glm_assets.storage.npz import NpzFile


@pytest.fixture(params=[np.savez, np.savez_compressed])
def archive(tmp_path, request):
    path = tmp_path / "a.npz"
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(1000, 7)).astype(np.float16), "y": np.arange(1000), "none": np.empty((0, 3))}
    request.param(path, **arrays)
    return path, arrays


@pytest.mark.parametrize("rows", [1, 64, 999, 1000, 5000])
def test_blocks_are_the_array_cut_up(archive, rows):
    path, arrays = archive
    blocks = list(NpzFile(path).blocks("x", rows))
    assert [len(block) for block in blocks] == [min(rows, 1000 - start) for start in range(0, 1000, rows)]
    assert blocks[0].dtype == np.float16
    assert np.array_equal(np.concatenate(blocks), arrays["x"])


def test_two_arrays_stream_in_step(archive):
    path, arrays = archive
    file = NpzFile(path)
    for number, (x, y) in enumerate(zip(file.blocks("x", 100), file.blocks("y", 100), strict=True)):
        assert np.array_equal(x, arrays["x"][100 * number : 100 * number + 100])
        assert np.array_equal(y, arrays["y"][100 * number : 100 * number + 100])


def test_whole_arrays_and_headers(archive):
    path, arrays = archive
    file = NpzFile(path)
    assert file.names == set(arrays)
    for name, array in arrays.items():
        assert np.array_equal(file.array(name), array)
        assert (file.header(name).shape, file.header(name).dtype) == (array.shape, array.dtype)


def test_memory_does_not_grow_with_the_array(tmp_path):
    path = tmp_path / "large.npz"
    np.savez_compressed(path, x=np.zeros((1 << 16, 1024), np.uint8))  # 64 MiB
    tracemalloc.start()
    rows = sum(len(block) for block in NpzFile(path).blocks("x", 1024))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 1 << 16
    assert peak < 8 << 20


def test_an_array_that_is_not_there(archive):
    with pytest.raises(FormatError, match=r"has no array 'z'.*none, x, y"):
        NpzFile(archive[0]).header("z")


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.999])
def test_a_file_without_its_end(archive, keep):
    path, _ = archive
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content) if keep < 1 else keep)])
    with pytest.raises(FormatError, match=r"a\.npz cannot be read.*copy the file again"):
        NpzFile(path)


def test_a_changed_byte_anywhere_in_the_data(archive):
    path, _ = archive
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(FormatError, match="cannot be read"):
        list(NpzFile(path).blocks("x", 100))


def member(path, content: bytes):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x.npy", content)
    return NpzFile(path)


def test_fewer_or_more_bytes_than_the_header_says(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((10, 4), np.float32))
    content = (tmp_path / "x.npy").read_bytes()
    with pytest.raises(FormatError, match="ends in row 9"):
        list(member(tmp_path / "short.npz", content[:-3]).blocks("x", 4))
    with pytest.raises(FormatError, match="goes on after its 10 rows"):
        list(member(tmp_path / "long.npz", content + b"\0").blocks("x", 4))
    with pytest.raises(FormatError, match="cannot be read"):
        member(tmp_path / "none.npz", b"no array").header("x")


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.array(["21", None], object), "Python objects"),
        (np.asfortranarray(np.ones((3, 4))), "columns"),
        (np.float32(1), "a single number"),
    ],
)
def test_arrays_that_cannot_be_streamed(tmp_path, array, what):
    np.savez(tmp_path / "a.npz", x=array, y=np.ones(2))
    file = NpzFile(tmp_path / "a.npz")
    with pytest.raises(FormatError, match=f"'x' holds {what}"):
        list(file.blocks("x", 10))
    assert file.array("y").tolist() == [1, 1]


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FormatError, match=r"absent\.npz cannot be read"):
        NpzFile(tmp_path / "absent.npz")
