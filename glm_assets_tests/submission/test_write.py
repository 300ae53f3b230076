"""The submission CSV: text, order, exactness, atomicity and what is refused."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from glm_assets.errors import SubmissionError
from glm_assets.submission import write as writer
from glm_assets.submission.layout import embedding_columns
from glm_assets.submission.write import write_submission


def unit_rows(rows: int, dimensions: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((rows, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def read_back(path) -> tuple[list[str], np.ndarray]:
    """IDs and float32 numbers by Python's own parser, independent of the writer's library."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    cells = [line.split(",") for line in lines]
    numbers = [[np.float32(float(cell)) for cell in row[1:]] for row in cells]
    return [row[0] for row in cells], np.array(numbers, dtype=np.float32)


def test_file_is_the_golden_text(tmp_path):
    dest = tmp_path / "submission.csv"
    vectors = np.array([[0.6, -0.8, 0.0], [1.0, 1.5e-7, -1e-5], [1 / 3, 2 / 3, 2 / 3]], dtype=np.float32)
    report = write_submission(["b", "a,1", "001"], vectors, dest)
    assert dest.read_bytes() == (
        b"ID,emb_0000,emb_0001,emb_0002\n"
        b"b,0.6,-0.8,0.0\n"
        b'"a,1",1.0,1.5e-7,-0.00001\n'
        b"001,0.33333334,0.6666667,0.6666667\n"
    )
    assert (report.rows, report.dimensions, report.size) == (3, 3, dest.stat().st_size)
    assert report.sha256 == hashlib.sha256(dest.read_bytes()).hexdigest()


def test_column_names_have_four_digits():
    names = embedding_columns(2048)
    assert (names[0], names[999], names[-1], len(names)) == ("emb_0000", "emb_0999", "emb_2047", 2048)
    assert embedding_columns(10_000)[-1] == "emb_9999"


@pytest.mark.parametrize("dimensions", [0, 10_001])
def test_columns_that_four_digits_cannot_number_are_refused(dimensions):
    with pytest.raises(SubmissionError, match="cannot be named"):
        embedding_columns(dimensions)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-(2.0**-7), 2.0**-7, width=32)))
def test_every_float32_reads_back_to_the_same_bits(tmp_path, small):
    """A row of small numbers of any magnitude, subnormal ones too, with a last number that makes its norm 1."""
    norm = np.sqrt(1 - np.square(small, dtype=np.float64).sum())
    vectors = np.append(small, np.float32(norm))[None]
    write_submission(["a"], vectors, tmp_path / "submission.csv")
    _, back = read_back(tmp_path / "submission.csv")
    np.testing.assert_array_equal(back.view(np.uint32), vectors.view(np.uint32))


def test_numbers_are_as_short_as_numpy_writes_them(tmp_path):
    vectors = unit_rows(20, 500)
    write_submission([str(row) for row in range(20)], vectors, tmp_path / "submission.csv")
    written = (tmp_path / "submission.csv").read_text().splitlines()[1].split(",")[1:]
    for text, value in zip(written, vectors[0], strict=True):
        digits = np.format_float_scientific(value, unique=True).split("e")[0].strip("-").replace(".", "")
        assert text.strip("-").replace(".", "").split("e")[0].strip("0") == digits.strip("0")


def test_blocks_join_without_a_seam(tmp_path, monkeypatch):
    vectors = unit_rows(23, 6)
    names = [f"T{row}" for row in range(23)]
    whole = write_submission(names, vectors, tmp_path / "whole.csv")
    monkeypatch.setattr(writer, "_BLOCK_VALUES", 30)
    blocks = write_submission(names, vectors, tmp_path / "blocks.csv")
    assert blocks.sha256 == whole.sha256
    ids, back = read_back(tmp_path / "blocks.csv")
    assert ids == names
    np.testing.assert_array_equal(back, vectors)


def test_memory_map_and_polars_ids_are_written_like_arrays_and_lists(tmp_path):
    vectors = unit_rows(5, 4)
    np.save(tmp_path / "vectors.npy", vectors)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    one = write_submission(list("abcde"), vectors, tmp_path / "one.csv")
    two = write_submission(pl.Series(list("abcde")), mapped, tmp_path / "two.csv")
    assert one == two


@pytest.mark.parametrize("digits", [6, 7, 8])
def test_significant_digits_shorten_every_number_as_the_percent_format_does(tmp_path, digits):
    vectors = unit_rows(10, 300)
    write_submission(list("abcdefghij"), vectors, tmp_path / "submission.csv", significant_digits=digits)
    _, back = read_back(tmp_path / "submission.csv")
    expected = np.array([[np.float32(f"{value:.{digits}g}") for value in row] for row in vectors])
    np.testing.assert_array_equal(back, expected)
    for text in (tmp_path / "submission.csv").read_text().splitlines()[1].split(",")[1:]:
        assert len(text.split("e")[0].strip("-").replace(".", "").lstrip("0")) <= digits


@pytest.mark.parametrize("digits", [0, 5, 9])
def test_other_numbers_of_digits_are_refused(tmp_path, digits):
    with pytest.raises(SubmissionError, match=f"{digits} significant digits"):
        write_submission(["a"], unit_rows(1, 4), tmp_path / "submission.csv", significant_digits=digits)


def spoiled(row: int, value: float) -> np.ndarray:
    vectors = unit_rows(6, 4)
    vectors[row, 1] = value
    return vectors


@pytest.mark.parametrize(
    ("names", "vectors", "message"),
    [
        (list("abcdef"), spoiled(4, np.nan), r"row 5, ID 'e', holds NaN or infinity"),
        (list("abcdef"), spoiled(0, np.inf), r"row 1, ID 'a', holds NaN or infinity"),
        (list("abcdef"), unit_rows(6, 4) * np.float32(1.0002), r"row 1, ID 'a', has length 1\.0002"),
        (list("abcdef"), np.zeros((6, 4), np.float32), r"row 1, ID 'a', has length 0"),
        (list("abcde"), unit_rows(6, 4), r"shape \(6, 4\) and type float32 do not fit 5 IDs"),
        (list("abcdef"), unit_rows(6, 4).astype(np.float64), "type float64 do not fit"),
        (list("abcdef"), unit_rows(6, 4)[0], r"shape \(4,\)"),
        (list("abcbef"), unit_rows(6, 4), "ID 'b' occurs more than once"),
        (["a", "b", "", "d", "e", "f"], unit_rows(6, 4), "row 3 of the submission has no ID"),
        (["a", "b", None, "d", "e", "f"], unit_rows(6, 4), "row 3 of the submission has no ID"),
        ([], unit_rows(0, 4), "no row to submit"),
        (["a"], unit_rows(1, 2049), "2,049 dimensions.*at most 2,048"),
        (["a"], np.zeros((1, 0), np.float32), "0 embedding columns cannot be named"),
    ],
)
def test_wrong_submission_is_refused_and_the_old_file_stays(tmp_path, names, vectors, message):
    dest = tmp_path / "submission.csv"
    dest.write_text("the old one")
    with pytest.raises(SubmissionError, match=message):
        write_submission(names, vectors, dest)
    assert dest.read_text() == "the old one"
    assert [path.name for path in tmp_path.iterdir()] == ["submission.csv"]


def test_fault_in_a_later_block_names_its_row_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_BLOCK_VALUES", 8)
    with pytest.raises(SubmissionError, match="row 5, ID 'e'"):
        write_submission(list("abcdef"), spoiled(4, np.nan), tmp_path / "submission.csv")
    assert not list(tmp_path.iterdir())


def test_rounding_noise_of_the_norm_is_accepted_and_the_limit_can_be_raised(tmp_path):
    write_submission(["a"], unit_rows(1, 4) * np.float32(1.00005), tmp_path / "noise.csv")
    report = write_submission(["a"], unit_rows(1, 4096), tmp_path / "wide.csv", max_dimensions=4096)
    assert report.dimensions == 4096
