"""Lines about long work."""

from __future__ import annotations

import pytest

from glm_assets.encoders import progress
from glm_assets.encoders.progress import ProgressLine


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_comes_every_five_seconds_at_most_and_at_the_end(clock):
    lines: list[str] = []
    line = ProgressLine(lines.append, "windows", 10_000)
    for second in range(1, 11):
        clock[0] = second
        line.advance(1_000)
    assert lines == [
        "5,000 of 10,000 windows, 1,000.0 a second, 5 s left",
        "10,000 of 10,000 windows, 1,000.0 a second, 0 s left",
    ]


@pytest.mark.parametrize(
    ("seconds", "left"), [(0.4, "0 s"), (59, "59 s"), (61, "1 min 01 s"), (3_600 + 120, "1 h 02 min")]
)
def test_the_time_left_is_readable(clock, seconds, left):
    lines: list[str] = []
    line = ProgressLine(lines.append, "windows", 1_000 + round(seconds * 100))
    clock[0] = 10
    line.advance(1_000)
    assert lines[0].endswith(f", 100.0 a second, {left} left")
