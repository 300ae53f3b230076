"""A line now and then about long work: how far, how fast, how long still."""

from __future__ import annotations

import time
from collections.abc import Callable

_INTERVAL_S = 5.0


class ProgressLine:
    """Reports counted work to a callable, at most every five seconds and once at the end.

    Args:
        progress: Takes a readable line.
        what: What is counted, in the plural, such as `windows`.
        total: How many there are to do.
    """

    def __init__(self, progress: Callable[[str], None], what: str, total: int) -> None:
        self._progress = progress
        self._what = what
        self._total = total
        self._done = 0
        self._start = self._said = time.monotonic()

    def advance(self, count: int) -> None:
        """Count `count` more as done."""
        self._done += count
        now = time.monotonic()
        if now - self._said < _INTERVAL_S and self._done < self._total:
            return
        self._said = now
        rate = self._done / max(now - self._start, 1e-9)
        left = (self._total - self._done) / rate
        self._progress(
            f"{self._done:,} of {self._total:,} {self._what}, {rate:,.1f} a second, {_duration(left)} left"
        )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
