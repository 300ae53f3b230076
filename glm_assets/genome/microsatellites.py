"""Microsatellites: short motifs repeated without a break."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.genome.alphabet import UNKNOWN_ID, encode_ids, reverse_complement, upper

NAMES: Final = {2: "di", 3: "tri", 4: "tetra", 5: "penta", 6: "hexa"}
"""What repeats are called, by bases of the motif."""

SCHEMA: Final = pl.Schema(
    {"start": pl.Int64, "end": pl.Int64, "period": pl.Int32, "copies": pl.Int32, "motif": pl.String}
)


def microsatellites(bases: NDArray[np.uint8], least_copies: Mapping[int, int]) -> pl.DataFrame:
    """Find the perfect repeats of a sequence.

    A repeat is as long as it can be and is counted once, under its shortest motif: (AT)12 is no repeat of ATAT. A run
    of one base is none. Bases of a copy that is not whole belong to it.

    Args:
        bases: (n,) ASCII of either case; no repeat spans an unknown base.
        least_copies: How many whole copies a repeat must have, by bases of its motif, 2 or more.

    Returns:
        A row per repeat, by place: 0-based `start` and `end`, `period`, whole `copies`, and `motif`, the first in
        alphabetical order of its rotations on either strand, so that AC, CA, GT and TG are one.
    """
    ids = encode_ids(upper(bases))
    found = [_of_period(ids, period, copies) for period, copies in sorted(least_copies.items())]
    return pl.concat([pl.DataFrame(schema=SCHEMA), *found]).sort("start", "period")


def _of_period(ids: NDArray[np.uint8], period: int, copies: int) -> pl.DataFrame:
    same = (ids[period:] == ids[:-period]) & (ids[period:] != UNKNOWN_ID)
    # Of truth values, which take a byte a base; of whole numbers a chromosome would take sixteen.
    edges = np.flatnonzero(np.diff(same, prepend=False, append=False))
    starts, stops = edges[::2], edges[1::2]
    long = stops - starts >= period * (copies - 1)
    rows = [
        (start, stop + period, period, (stop - start + period) // period, _canonical(motif))
        for start, stop in zip(starts[long].tolist(), stops[long].tolist(), strict=True)
        if _is_primitive(motif := ids[start : start + period])
    ]
    return pl.DataFrame(rows, SCHEMA, orient="row")


def _is_primitive(motif: NDArray[np.uint8]) -> bool:
    """Whether a motif is no repeat itself."""
    size = len(motif)
    return not any(
        size % part == 0 and np.array_equal(motif, np.tile(motif[:part], size // part)) for part in range(1, size)
    )


def _canonical(ids: NDArray[np.uint8]) -> str:
    forward = np.frombuffer(b"ACGT", np.uint8)[ids]
    strands = (forward.tobytes(), reverse_complement(forward).tobytes())
    return min(text[turn:] + text[:turn] for text in strands for turn in range(len(text))).decode("ascii")
