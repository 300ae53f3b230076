"""Sequences of units by plain slices, and choices that are even."""

from __future__ import annotations

import polars as pl
import pytest

pytest.importorskip("torch")

from glm_assets.errors import SettingsError
from glm_assets.studies.sugarcane.unit_sequences import (
    UnitSequences,
    choose_evenly,
    choose_named,
    read_units,
)
from glm_assets_tests.studies.sugarcane.tiny_units import (
    CONTIGS,
    VARIETY,
    sequence_of,
    tiny_study,
    units_table,
)


def test_units_are_read_upper_case_on_their_strand_within_their_contig(tmp_path):
    study = tiny_study(tmp_path)
    units, sequences = read_units(study, VARIETY), UnitSequences(study, VARIETY)
    found = dict(zip(units["unit_id"], sequences.each(units), strict=True))
    assert found == {name: sequence_of(name) for name in units["unit_id"]}
    assert len(found["beyond"]) == 50
    assert sequences.cut(units) == 1


def test_the_original_s_units_are_read_as_the_file_has_them(tmp_path):
    study = tiny_study(tmp_path, units={"coordinates": "faithful"})
    units = read_units(study, VARIETY).filter(unit_id="long")
    assert list(UnitSequences(study, VARIETY).each(units)) == [CONTIGS["Chr1"][2_000:2_900].upper()]


def kinds(**counts: int) -> pl.DataFrame:
    rows = [kind for kind, many in counts.items() for _ in range(many)]
    return pl.DataFrame({"unit_type": rows, "row": range(len(rows))})


@pytest.mark.parametrize(
    ("many", "expected"),
    [
        (6, {"a": 2, "b": 2, "c": 2}),
        (9, {"a": 4, "b": 3, "c": 2}),
        (2, {"a": 1, "b": 1}),
        (104, {"a": 99, "b": 3, "c": 2}),
        (105, {"a": 100, "b": 3, "c": 2}),
        (None, {"a": 100, "b": 3, "c": 2}),
    ],
)
def test_types_share_evenly_as_far_as_they_go(many, expected):
    chosen = choose_evenly(kinds(a=100, b=3, c=2), many)
    assert dict(chosen["unit_type"].value_counts().iter_rows()) == expected
    assert chosen["row"].is_sorted()
    assert chosen["row"].is_unique().all()


def test_units_of_a_type_are_spread_over_the_table():
    assert choose_evenly(kinds(a=100), 4)["row"].to_list() == [12, 37, 62, 87]
    assert choose_evenly(kinds(a=100), 1)["row"].to_list() == [50]


def test_a_name_that_no_unit_has_is_refused():
    assert choose_named(units_table(), ("long", "u3"), "profiles.units")["unit_id"].to_list() == ["u3", "long"]
    with pytest.raises(SettingsError, match=r"no unit 'nobody', which profiles\.units names"):
        choose_named(units_table(), ("u1", "nobody"), "profiles.units")
