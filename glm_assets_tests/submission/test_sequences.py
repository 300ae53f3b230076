"""The test CSV: what is accepted and counted, what is refused and how it is said."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import asdict
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glm_assets.errors import SubmissionError
from glm_assets.submission.sequences import find_test_csv, read_test_sequences

PLAIN = {
    "rows": 2,
    "distinct": 2,
    "shortest": 4,
    "longest": 6,
    "with_n": 0,
    "lower_cased": 0,
    "trimmed": 0,
    "padded_ids": 0,
    "formula_ids": 0,
    "ignored_columns": 0,
    "blank_lines": 0,
    "bom": False,
}


def write(folder: Path, text: str, name: str = "test.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf-8"))
    return path


def refusal(path: Path, max_length: int = 8) -> str:
    with pytest.raises(SubmissionError) as caught:
        read_test_sequences(path, max_length=max_length)
    return caught.value.problem.removeprefix(str(path)).strip(": ")


def test_frame_holds_the_sequences_in_file_order(tmp_path):
    frame, counts = read_test_sequences(write(tmp_path, "ID,seq\nz,ACGT\na,TTTTTT\n"), max_length=8)
    assert frame.schema == {"ID": pl.String, "seq": pl.String, "length": pl.Int32, "digest": pl.String}
    assert frame["ID"].to_list() == ["z", "a"]
    assert frame["seq"].to_list() == ["ACGT", "TTTTTT"]
    assert frame["length"].to_list() == [4, 6]
    assert asdict(counts) == PLAIN


def test_digest_is_the_first_half_of_the_sha256_of_the_upper_case_sequence(tmp_path):
    frame, _ = read_test_sequences(write(tmp_path, "ID,seq\na,ACGT\nb,acgt\n"), max_length=8)
    # printf ACGT | sha256sum
    assert frame["digest"].to_list() == ["1dff3e84fe7877e0673b69bbddcf4012"] * 2


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("\ufeffID,seq\na,ACGT\nb,TTTTTT\n", {"bom": True}),
        ("ID,seq\r\na,ACGT\r\nb,TTTTTT\r\n", {}),
        ('"ID","seq"\n"a","ACGT"\n"b","TTTTTT"\n', {}),
        ("seq,ID\nACGT,a\nTTTTTT,b\n", {}),
        (" ID , seq\na,ACGT\nb,TTTTTT\n", {}),
        ("n,ID,note,seq\n1,a,x,ACGT\n2,b,,TTTTTT\n", {"ignored_columns": 2}),
        ("n,n,ID,seq\n1,1,a,ACGT\n2,2,b,TTTTTT\n", {"ignored_columns": 2}),
        ("ID,seq\n\na,ACGT\nb,TTTTTT\n\n", {"blank_lines": 2}),
        ("ID,seq\na,acgt\nb,TTttTT\n", {"lower_cased": 2}),
        ("ID,seq\na, ACGT\nb,TTTTTT\t\n", {"trimmed": 2}),
    ],
    ids=[
        *["BOM", "CRLF", "quoted", "other order", "padded header", "extra columns", "repeated extra column"],
        *["blank lines", "lower case", "whitespace around sequences"],
    ],
)
def test_harmless_differences_are_accepted_and_counted(tmp_path, text, changed):
    frame, counts = read_test_sequences(write(tmp_path, text), max_length=8)
    assert frame["ID"].to_list() == ["a", "b"]
    assert frame["seq"].to_list() == ["ACGT", "TTTTTT"]
    assert asdict(counts) == {**PLAIN, **changed}


def test_equal_sequences_and_sequences_with_n_are_counted(tmp_path):
    _, counts = read_test_sequences(write(tmp_path, "ID,seq\na,ACGN\nb,acgn\nc,NN\nd,ACGT\n"), max_length=8)
    assert (counts.rows, counts.distinct, counts.with_n, counts.shortest, counts.longest) == (4, 3, 3, 2, 4)


def test_ids_are_kept_to_the_letter(tmp_path):
    names = ["001", " 1", "1 ", "NA", "1.0", "1e3", "a,b", 'say "x"', "변이", "null"]
    path = tmp_path / "test.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("ID", "seq"), *((name, "ACGT") for name in names)])
    frame, counts = read_test_sequences(path, max_length=8)
    assert frame["ID"].to_list() == names
    assert counts.padded_ids == 2


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("x,", "row 2 (line 3), ID 'x': the sequence is empty"),
        ("x,   ", "row 2 (line 3), ID 'x': the sequence is empty"),
        ("x,ACGTACGTA", "row 2 (line 3), ID 'x': the sequence has 9 bases, more than 8"),
        ("x,ACGU", "row 2 (line 3), ID 'x': base 4 is 'U'"),
        ("x,acRt", "row 2 (line 3), ID 'x': base 3 is 'R'"),
        ("x,AC GT", "row 2 (line 3), ID 'x': base 3 is ' '"),
        ("x,AC-GT", "row 2 (line 3), ID 'x': base 3 is '-'"),
        ("x,ACßT", "row 2 (line 3), ID 'x': base 3 is 'ß'"),
        ('x,"AC\nGT"', "row 2 (line 3), ID 'x': base 3 is '\\n'"),
        (",ACGT", "row 2 (line 3), ID '': the ID is empty"),
        ("  ,ACGT", "row 2 (line 3), ID '  ': the ID is empty"),
        ('"x\ny",ACGT', "row 2 (line 3), ID 'x\\ny': the ID holds a line break or a control character"),
        ("a,TTTT", "row 2 (line 3), ID 'a': the ID is already that of row 1"),
        ("x", "row 2 (line 3), ID 'x': it has 1 instead of 2 fields"),
        ("x,ACGT,1", "row 2 (line 3), ID 'x': it has 3 instead of 2 fields"),
    ],
)
def test_faulty_row_is_named(tmp_path, row, fault):
    text = refusal(write(tmp_path, f"ID,seq\na,ACGT\n{row}\nb,TTTT\n"))
    assert text == f"has 1 fault in 3 rows: {fault}"


def test_length_limit_itself_is_accepted(tmp_path):
    frame, _ = read_test_sequences(write(tmp_path, "ID,seq\na,ACGTACGT\n"), max_length=8)
    assert frame["length"].to_list() == [8]


def test_two_faults_of_one_row_and_those_of_others_are_told_together_in_file_order(tmp_path):
    text = refusal(write(tmp_path, "ID,seq\na,ACGT\n\nb,AXGTACGTA\na,\nc,ACGT,9\n"))
    assert text == (
        "has 5 faults in 4 rows: "
        "row 2 (line 4), ID 'b': the sequence has 9 bases, more than 8; "
        "row 2 (line 4), ID 'b': base 2 is 'X'; "
        "row 3 (line 5), ID 'a': the ID is already that of row 1; "
        "row 3 (line 5), ID 'a': the sequence is empty; "
        "row 4 (line 6), ID 'c': it has 3 instead of 2 fields"
    )


def test_rows_without_an_id_are_not_called_duplicates(tmp_path):
    text = refusal(write(tmp_path, "ID,seq\n,ACGT\n,TTTT\n"))
    assert "has 2 faults" in text
    assert "already" not in text


def test_only_the_first_faults_are_listed_and_the_rest_counted(tmp_path):
    text = refusal(write(tmp_path, "ID,seq\n" + "".join(f"t{number},AXA\n" for number in range(2000))))
    assert text.startswith("has 2,000 faults in 2,000 rows: row 1 (line 2), ID 't0': base 2 is 'X'; ")
    assert text.endswith("row 5 (line 6), ID 't4': base 2 is 'X'; and 1,995 more")


def test_ids_in_messages_are_shortened(tmp_path):
    assert f"ID '{'A' * 40}...': " in refusal(write(tmp_path, f"ID,seq\n{'A' * 900},x\n"))


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("id,seq", "has no column ID; its columns are 'id', 'seq'"),
        ("ID,sequence", "has no column seq; its columns are 'ID', 'sequence'"),
        ("name,dna", "has no column ID and no column seq; its columns are 'name', 'dna'"),
        ("ID;seq", "has no column ID and no column seq; its columns are 'ID;seq'"),
        ("ID\tseq", "has no column ID and no column seq; its columns are 'ID\\tseq'"),
        ("ID,seq,seq", "has several columns seq; its columns are 'ID', 'seq', 'seq'"),
        ("a,ACGT", "has no column ID and no column seq; its columns are 'a', 'ACGT'"),
    ],
    ids=["case of ID", "other name", "both", "semicolon", "tab", "twice", "no header"],
)
def test_header_without_the_two_columns_is_refused_with_what_it_has(tmp_path, header, problem):
    assert refusal(write(tmp_path, f"{header}\na,ACGT\n")) == problem


def test_header_without_rows_is_refused(tmp_path):
    assert refusal(write(tmp_path, "ID,seq\n")) == "has a header but no rows"


def test_message_says_what_was_expected_and_the_fix(tmp_path):
    with pytest.raises(SubmissionError) as caught:
        read_test_sequences(write(tmp_path, "ID,seq\na,ACGX\n"), max_length=1024)
    assert "1 to 1,024 letters A, C, G, T or N" in str(caught.value.expected)
    assert "write U as T" in str(caught.value.fix)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1),
            st.text("ACGTNacgtn", min_size=1),
        ),
        min_size=1,
        unique_by=lambda row: row[0],
    ).filter(lambda rows: all(name.strip() for name, _ in rows))
)
def test_any_well_formed_file_is_read_as_a_plain_loop_reads_it(tmp_path, rows):
    path = tmp_path / "test.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("ID", "seq"), *rows])
    frame, counts = read_test_sequences(path, max_length=10_000)
    expected = [
        (name, seq.upper(), len(seq), hashlib.sha256(seq.upper().encode()).hexdigest()[:32]) for name, seq in rows
    ]
    assert frame.rows() == expected
    assert counts.lower_cased == sum(seq != seq.upper() for _, seq in rows)


class TestFindTestCsv:
    def test_named_file_is_taken_without_a_look_into_the_folders(self, tmp_path):
        named = write(tmp_path, "anything", "named.csv")
        assert find_test_csv(named, [tmp_path / "absent"]) == named

    def test_named_file_that_is_absent_is_an_error(self, tmp_path):
        write(tmp_path, "ID,seq\na,ACGT\n")
        with pytest.raises(SubmissionError, match=r"absent\.csv does not exist"):
            find_test_csv(tmp_path / "absent.csv", [tmp_path])

    def test_first_file_by_name_with_both_columns_wins(self, tmp_path):
        for number in range(30, 0, -1):
            write(tmp_path, "ID,note,seq\na,1,ACGT\n", f"b{number:02d}.csv")
        write(tmp_path, "ID,label\na,1\n", "a.csv")
        write(tmp_path, "ID,seq\na,ACGT\n", "a.txt")
        assert find_test_csv(None, [tmp_path]).name == "b01.csv"

    def test_first_folder_wins_over_the_alphabet(self, tmp_path):
        first, second = tmp_path / "z", tmp_path / "a"
        for folder in (first, second):
            folder.mkdir()
            write(folder, "ID,seq\na,ACGT\n")
        assert find_test_csv(None, [tmp_path / "absent", first, second]).parent == first

    def test_unreadable_files_are_passed_over(self, tmp_path):
        (tmp_path / "a.csv").write_bytes(b"ID,seq,\xe9\n")
        (tmp_path / "b.csv").mkdir()
        (tmp_path / "c.csv").write_bytes(b'"ID,seq\n')
        (tmp_path / "d.csv").write_bytes(b"")
        write(tmp_path, "ID,seq\na,ACGT\n", "e.csv")
        assert find_test_csv(None, [tmp_path]).name == "e.csv"

    def test_without_any_the_error_lists_where_it_looked(self, tmp_path):
        write(tmp_path, "id,sequence\na,ACGT\n", "other.csv")
        with pytest.raises(SubmissionError, match=r"looked at: .*other\.csv.*GLM_TEST_CSV"):
            find_test_csv(None, [tmp_path])
