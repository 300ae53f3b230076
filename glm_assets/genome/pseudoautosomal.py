"""The pseudoautosomal regions, where X and Y are one sequence: a window's bases on either, at the other's positions.

Coordinates are those of the assembly GRCh38 (Genome Reference Consortium, "Human Genome Assembly GRCh38",
pseudoautosomal regions), 1-based inclusive:

    PAR1  X 10,001-2,781,479          Y 10,001-2,781,479
    PAR2  X 155,701,383-156,030,895   Y 56,887,903-57,217,415
"""

from __future__ import annotations

from typing import Final

import numpy as np

from glm_assets.genome.intervals import Positions

SEX_PARTNER: Final = {"X": "Y", "Y": "X"}
"""The other one of the two chromosomes that share the regions."""

_LENGTHS: Final = (2_771_479, 329_513)
_STARTS: Final = {"X": (10_000, 155_701_382), "Y": (10_000, 56_887_902)}


def pseudoautosomal_parts(
    chrom: str, starts: Positions, ends: Positions, *, onto: str
) -> tuple[Positions, Positions, Positions]:
    """Carry what of windows lies in the pseudoautosomal regions over to X or Y.

    A window that crosses a region's border is cut there: beyond it X and Y differ.

    Args:
        chrom: Chromosome key of the windows, such as `13`; only X and Y have such parts.
        starts: (n,) 0-based window starts, in any order.
        ends: (n,) positions after the windows' last base.
        onto: `X` or `Y`: whose positions to return.

    Returns:
        (m,) rows of the windows that have a part, and the (m,) 0-based starts and ends of these parts on `onto`.
    """
    rows, firsts, lasts = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    if chrom in SEX_PARTNER:
        for here, there, length in zip(_STARTS[chrom], _STARTS[onto], _LENGTHS, strict=True):
            first, last = np.maximum(starts, here), np.minimum(ends, here + length)
            row = np.flatnonzero(first < last)
            rows.append(row)
            firsts.append(first[row] - here + there)
            lasts.append(last[row] - here + there)
    return np.concatenate(rows), np.concatenate(firsts), np.concatenate(lasts)
