"""The reader of the contest's CSV on rows and bytes that no contest hands out, judged by a simple reader."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm_assets.errors import SubmissionError
from glm_assets.submission.sequences import read_test_sequences
from glm_assets_tests.fuzz.tally import Tally, examples

pytestmark = pytest.mark.system

LONGEST = 64
SEQUENCES = st.text("ACGTN", min_size=1, max_size=LONGEST) | st.text("acgtnACGTN", min_size=1, max_size=9)
HOSTILE = st.sampled_from(
    [
        *(
            '=HYPERLINK("http://x","y")',
            "+cmd|' /C calc'!A0",
            "@SUM(1)",
            "-1+1",
            "../../etc/passwd",
            "CON",
            "a\0b",
            "a\tb",
        ),
        *(
            "a\rb",
            "a\nb",
            '"',
            '""',
            "'",
            ",",
            "",
            " ",
            "<script>",
            "\u202e",
            "\u2215",
            "x" * 300,
            "ID",
            "seq",
            "\ufeff",
        ),
    ]
)
BAD_SEQUENCES = st.sampled_from(
    ["", "ACGU", "A C", "AC-GT", "ACGT" * 99, "\uff21\uff23", "\u0130", "A\nC", '"A', "1"]
)


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@st.composite
def files(draw):
    """(bytes, rows that they hold or None): half the files are plainly right."""
    good = draw(st.booleans())
    count = draw(st.integers(15, 40))
    ids = [f"{draw(HOSTILE)}{number}" if draw(st.booleans()) else f"TEST_{number}" for number in range(count)]
    if good:  # control characters are refused
        ids = ["".join(letter for letter in text if letter >= " ") for text in ids]
    rows = [(text, draw(SEQUENCES)) for text in ids]
    if not good:
        at = draw(st.integers(0, count - 1))
        rows[at] = draw(st.tuples(HOSTILE | st.text(max_size=8), BAD_SEQUENCES | st.text(max_size=8)))
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    text = ending.join(["ID,seq", *(f"{quoted(name)},{seq}" for name, seq in rows)]) + ending
    data = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.encode("utf-8", errors="surrogatepass")
    if not good and draw(st.booleans()):
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + draw(st.binary(max_size=3)) + data[at + draw(st.integers(0, 3)) :]
    return data, rows if good else None


def read(path):
    try:
        return read_test_sequences(path, max_length=LONGEST)
    except SubmissionError:
        return None


def test_rows(tmp_path):
    path, tally = tmp_path / "test.csv", Tally()

    @examples(520)
    @given(file=files())
    def fuzz(file):
        data, rows = file
        path.write_bytes(data)
        found = read(path)
        again = read(path)
        tally["cases"] += max(15, data.count(b"\n") - 1)
        tally["read" if found else "refused"] += 1
        assert (found is None) == (again is None)
        if found:
            frame, counts = found
            assert frame.equals(again[0])
            assert counts.rows == frame.height == frame["ID"].n_unique()
            assert counts.distinct == frame["digest"].n_unique()
            assert set("".join(frame["seq"])) <= set("ACGTN")
        if rows:
            tally["judged"] += 1
            assert found, "a plainly right file is read"
            assert found[0]["ID"].to_list() == [name for name, _ in rows]  # to the letter
            assert found[0]["seq"].to_list() == [seq.upper() for _, seq in rows]
            digests = [hashlib.sha256(seq.upper().encode()).hexdigest()[:32] for _, seq in rows]
            assert found[0]["digest"].to_list() == digests

    fuzz()
    tally.require("read", "refused", "judged")


@examples(1000)
@given(data=st.binary(max_size=200) | st.binary(max_size=100).map(lambda rest: b"ID,seq\n" + rest))
def test_any_bytes(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)
    found = read(path)
    assert found is None or found[0].height
