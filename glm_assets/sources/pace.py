"""A lower limit to the speed of a transfer: a server that drips is as good as silent."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from glm_assets.sources.web import TransientError

SLOWEST = 1000.0
"""Bytes a second; less than a modem."""


def at_pace(chunks: Iterable[bytes], *, patience_s: float, slowest: float = SLOWEST) -> Iterator[bytes]:
    """Pass chunks on as long as they come fast enough.

    Args:
        chunks: As they arrive.
        patience_s: Over how long the speed is measured; a server that sends nothing at all is not seen here.
        slowest: Fewest bytes a second.

    Raises:
        TransientError: They come slower; another connection may be better.
    """
    begin, arrived = time.monotonic(), 0
    for chunk in chunks:
        yield chunk
        arrived += len(chunk)
        elapsed = time.monotonic() - begin
        if elapsed >= patience_s:
            if arrived < slowest * elapsed:
                raise TransientError(f"only {arrived:,} bytes came in {elapsed:.0f} s")
            begin, arrived = time.monotonic(), 0
