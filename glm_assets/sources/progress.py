"""Readable progress lines, a few seconds apart."""

from __future__ import annotations

import time
from collections.abc import Callable

Progress = Callable[[str], None]

EVERY_S = 5.0


class Ticker:
    """Passes a line on when the last one is `every_s` seconds old.

    Args:
        progress: Receives the lines.
        every_s: Seconds between two lines.
    """

    def __init__(self, progress: Progress, every_s: float = EVERY_S) -> None:
        self._progress = progress
        self._every_s = every_s
        self._started = self._last = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the ticker was made; never zero, so that rates can be taken."""
        return max(time.monotonic() - self._started, 1e-9)

    def rate(self, count: float) -> float:
        """`count` per second since the ticker was made."""
        return count / self.seconds

    def tick(self, line: Callable[[], str]) -> None:
        """Report `line()` if it is time; otherwise the line is not even made."""
        now = time.monotonic()
        if now - self._last >= self._every_s:
            self._last = now
            self._progress(line())


class TransferMeter:
    """Reports how much of a file has arrived, in MB, per cent and MB/s.

    Args:
        name: File name for the lines.
        done: Bytes that were there before.
        total: Bytes of the whole file, if known.
        progress: Receives the lines.
        every_s: Seconds between two lines.
    """

    def __init__(
        self, name: str, *, done: int, total: int | None, progress: Progress, every_s: float = EVERY_S
    ) -> None:
        self._name, self._done, self._total = name, done, total
        self._arrived = 0
        self._ticker = Ticker(progress, every_s)

    def add(self, size: int) -> None:
        """Count `size` more bytes."""
        self._arrived += size
        self._ticker.tick(self._line)

    def _line(self) -> str:
        done = self._done + self._arrived
        share = f" of {self._total / 1e6:.1f} MB ({done / self._total:.0%})" if self._total else " MB"
        return f"{self._name}: {done / 1e6:.1f}{share}, {self._ticker.rate(self._arrived / 1e6):.1f} MB/s"
