import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm_assets.studies.metagenome.headers import SCHEMA, parse_headers

# The grammar again, by Python's own expressions; `re.ASCII` for digits, and white space as Unicode knows it.
ORACLE = re.compile(r"lbl\|([0-9]+)\|([0-9]*)\|([0-9]*)\|([^/\s]+?)(?:/([0-9]+))?")


def parse(*headers):
    return parse_headers(pl.Series(headers, dtype=pl.String)).rows()


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        ("lbl|100|2157|150|HG425166.1_280953_r/1", (100, 2157, 150, "HG425166.1_280953_r", 1)),
        ("lbl|100|||n", (100, None, None, "n", None)),
        ("lbl|007|0|0|a|b/2", (7, 0, 0, "a|b", 2)),
    ],
)
def test_fields_are_read(header, fields):
    assert parse(header) == [fields]


@pytest.mark.parametrize(
    "header",
    [
        *(
            "",
            "lbl",
            "LBL|1|2|3|n",
            " lbl|1|2|3|n",
            "lbl|1|2|3|n ",
            "lbl|1|2|3|n comment",
            "lbl|1|2|3|n\n",
            "xlbl|1|2|3|n",
        ),
        *(
            "lbl||2|3|n",
            "lbl|a|2|3|n",
            "lbl|-1|2|3|n",
            "lbl|1|2|3|",
            "lbl|1|2|n",
            "lbl|1|2|3|/1",
            "lbl|1|2|3|n/",
            "lbl|1|2|3|n/x",
        ),
        *("lbl|1|2|3|a/b/1", "lbl|1|2.0|3|n", "lbl|\u0661|2|3|n", "lbl|1|2|3|n/1/2"),
        *("lbl|99999999999999999999|2|3|n", "lbl|1|2|99999999999|n", "lbl|1|2|3|n/99999"),
    ],
)
def test_what_is_not_the_grammar_as_a_whole_has_no_fields(header):
    assert parse(header) == [(None,) * 5]


def test_no_headers_have_no_fields_of_the_same_types():
    assert parse_headers(pl.Series([], dtype=pl.String)).schema == SCHEMA


pieces = st.sampled_from(["lbl", "|", "/", "1", "23", "n", "x_y", " ", "\n", "", "é"])


@given(st.lists(st.lists(pieces, max_size=14).map("".join) | st.text(max_size=20), min_size=1, max_size=40))
def test_any_text_is_read_as_the_grammar_says(headers):
    for header, found in zip(headers, parse(*headers), strict=True):
        match = ORACLE.fullmatch(header)
        if match is None:
            assert found == (None,) * 5
        else:
            class_id, tax_id, length, name, mate = match.groups()
            numbers = [int(text) if text else None for text in (class_id, tax_id, length, mate)]
            assert found == (*numbers[:3], name, numbers[3])


@given(
    st.tuples(st.integers(0, 2**63 - 1), st.none() | st.integers(0, 10**9), st.none() | st.integers(0, 10**6)),
    st.text(st.characters(codec="ascii", exclude_characters="/", categories=["L", "N", "P", "S"]), min_size=1),
    st.none() | st.integers(0, 9),
)
def test_a_header_that_is_put_together_comes_apart_again(numbers, name, mate):
    fields = "|".join("" if number is None else str(number) for number in numbers)
    assert parse(f"lbl|{fields}|{name}" + ("" if mate is None else f"/{mate}")) == [(*numbers, name, mate)]
