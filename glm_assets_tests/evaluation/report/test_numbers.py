"""Numbers as they are printed, and axes whose ticks and places are right."""

from __future__ import annotations

import numpy as np
import pytest

from glm_assets.evaluation.report.axes import doubling_axis, linear_axis, log_axis
from glm_assets.evaluation.report.markup import breakable, element, link
from glm_assets.evaluation.report.numbers import ABSENT, MINUS, decimal, interval, share, signed, small

NAN = float("nan")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (decimal(0.98765), "0.988"),
        (decimal(-0.5), f"{MINUS}0.500"),
        (decimal(-0.0001), "0.000"),
        (decimal(None), ABSENT),
        (decimal(NAN), ABSENT),
        (signed(0.0312), "+0.031"),
        (signed(-0.0312), f"{MINUS}0.031"),
        (signed(0.0001), "0.000"),
        (signed(None), ABSENT),
        (small(0.0), "0"),
        (small(0.00312), "0.00312"),
        (small(1.23456), "1.23"),
        (small(-0.0456), f"{MINUS}0.0456"),
        (small(6.756e-4), "6.76·10⁻⁴"),
        (interval(0.1, 0.25), "[0.100, 0.250]"),
        (interval(None, 0.25), ""),
        (interval(0.1, NAN), ""),
        (share(1, 8), "12.5\N{NO-BREAK SPACE}%"),
        (share(0, 0), ABSENT),
    ],
)
def test_numbers_are_written_for_people(text, expected):
    assert text == expected


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (linear_axis(0, 1, ""), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (linear_axis(-0.31, 0.05, "", ticks=4), [f"{MINUS}0.3", f"{MINUS}0.2", f"{MINUS}0.1", "0.0"]),
        (linear_axis(1, 3, "", whole=True), ["1", "2", "3"]),
        (linear_axis(1.0, 1.1, "", ticks=4), ["1.000", "1.025", "1.050", "1.075", "1.100"]),
        (log_axis(2e-5, 0.5, ""), ["10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹", "10⁰"]),
        (doubling_axis([4, 1, 2], ""), ["1", "2", "4"]),
    ],
)
def test_ticks_are_round_and_within_the_axis(axis, ticks):
    assert [text for _, text in axis.ticks] == ticks
    values = np.array([value for value, _ in axis.ticks])
    assert values.min() >= axis.low - 1e-9
    assert values.max() <= axis.high + 1e-9


def test_places_follow_the_value_or_its_logarithm():
    np.testing.assert_allclose(linear_axis(10, 20, "").place([10, 12.5, 20, 25]), [0, 0.25, 1, 1])
    np.testing.assert_allclose(log_axis(0.01, 1, "").place([0, 0.01, 0.1, 1]), [0, 0, 0.5, 1])


@pytest.mark.parametrize(("low", "high"), [(0.5, 0.5), (0.0, 0.0), (-3.0, -3.0)])
def test_an_axis_of_one_value_has_room(low, high):
    axis = linear_axis(low, high, "")
    assert axis.low < low < axis.high
    assert axis.place([low])[0] == pytest.approx(0.5)


def test_markup_is_escaped_once():
    assert element("td", "<b>", element("i", "&"), title='"') == '<td title="&#34;">&lt;b&gt;<i>&amp;</i></td>'
    assert breakable("a_<b>") == "a_<wbr>&lt;b&gt;"
    assert link("run", "javascript:x") == "run (javascript:x)"
