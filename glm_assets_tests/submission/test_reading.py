"""Bytes to rows: encodings, line ends, quotes and blank lines."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from glm_assets.errors import SubmissionError
from glm_assets.submission.reading import read_header, read_rows


def write(folder: Path, data: bytes) -> Path:
    path = folder / "test.csv"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["unix", "windows", "old mac"])
def test_every_line_end_gives_the_same_rows(tmp_path, end):
    table = read_rows(write(tmp_path, end.join([b"ID,seq", b"a,ACGT", b"b,TTTT", b""])))
    assert table.columns == ("ID", "seq")
    assert table.rows == [["a", "ACGT"], ["b", "TTTT"]]
    assert table.lines == [2, 3]


def test_last_line_needs_no_end(tmp_path):
    assert read_rows(write(tmp_path, b"ID,seq\na,ACGT")).rows == [["a", "ACGT"]]


def test_byte_order_mark_is_removed_and_told(tmp_path):
    table = read_rows(write(tmp_path, b"\xef\xbb\xbfID,seq\na,ACGT\n"))
    assert table.bom
    assert table.columns == ("ID", "seq")
    assert not read_rows(write(tmp_path, b"ID,seq\na,ACGT\n")).bom


def test_quoted_fields_may_hold_commas_quotes_and_line_breaks_and_lines_stay_right(tmp_path):
    table = read_rows(write(tmp_path, b'ID,note,seq\n"a","x, ""y""\nz","ACGT"\nb,,TTTT\n'))
    assert table.rows == [["a", 'x, "y"\nz', "ACGT"], ["b", "", "TTTT"]]
    assert table.lines == [2, 4]


def test_blank_lines_are_skipped_counted_and_do_not_shift_line_numbers(tmp_path):
    table = read_rows(write(tmp_path, b"\nID,seq\n\na,ACGT\n\n\nb,TTTT\n\n"))
    assert table.rows == [["a", "ACGT"], ["b", "TTTT"]]
    assert table.lines == [4, 7]
    assert table.blank_lines == 5


def test_fields_longer_than_the_default_limit_of_the_csv_module_are_read(tmp_path):
    table = read_rows(write(tmp_path, b"ID,seq\na," + b"A" * 200_000 + b"\n"))
    assert len(table.rows[0][1]) == 200_000


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        ("ID,seq\na,ACGT\n".encode("utf-16"), "UTF-16"),
        ("ID,seq\na,ACGT\n".encode("utf-16-le"), "NUL byte at line 1, byte 2"),
        (b"ID,seq\na,AC\0GT\n", "NUL byte at line 2, byte 5"),
        (b"ID,seq,note\na,ACGT,caf\xe9\n", "not UTF-8: byte 0xe9 at line 2, byte 11"),
        ("ID,seq,note\na,ACGT,변이\n".encode("cp949"), "not UTF-8: byte 0xba at line 2, byte 8"),
        (b'ID,seq\na,ACGT\nb,"TTTT\nc,GGGG\n', "row that starts on line 3"),
        (b'ID,seq\na,"AC"GT\n', "row that starts on line 2"),
    ],
    ids=[
        "no bytes",
        "blank lines",
        "only BOM",
        "UTF-16",
        "UTF-16 bare",
        "NUL",
        "Latin-1",
        "CP949",
        "open",
        "stray",
    ],
)
def test_unreadable_file_is_refused_with_the_place(tmp_path, data, message):
    path = write(tmp_path, data)
    with pytest.raises(SubmissionError, match=message) as caught:
        read_rows(path)
    assert str(path) in str(caught.value)


def test_absent_file_is_named(tmp_path):
    with pytest.raises(SubmissionError, match=r"absent\.csv cannot be read \(No such file"):
        read_rows(tmp_path / "absent.csv")


def test_header_alone_is_read_like_the_whole_file(tmp_path):
    path = write(tmp_path, b'\xef\xbb\xbf"ID", seq ,"a,b"\r\nx,ACGT,1\r\n')
    assert read_header(path) == read_rows(path).columns == ("ID", "seq", "a,b")
    assert read_header(write(tmp_path, b"")) == ()


def test_header_alone_raises_what_the_search_for_a_file_expects(tmp_path):
    with pytest.raises(UnicodeDecodeError):
        read_header(write(tmp_path, b"ID,s\xe9q\n"))
    with pytest.raises(csv.Error):
        read_header(write(tmp_path, b'"ID,seq\na,ACGT\n'))
    with pytest.raises(OSError, match="absent"):
        read_header(tmp_path / "absent.csv")
