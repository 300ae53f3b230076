"""Sketches: the one in sixteen k-mers of a sequence that a hash picks, whatever their place in it.

Two sequences that share a stretch share its part of the sketch, wherever the stretch lies in either: a shift by any
number of bases costs the sketch only what left the sequence, a substitution the k-mers that hold it. One strand.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.genome.alphabet import UNKNOWN_ID, encode_ids

K: Final = 32
"""Bases of a k-mer: two bits each fill 64 bits, and one that occurs by chance in a genome of 3e9 bases is rare."""

KEPT_BITS: Final = 4
"""A k-mer is in the sketch when this many bits of its hash are zero: one in 16."""

SEPARATOR: Final = "N"
"""Put between sequences that are laid end to end: no k-mer spans it."""

Hashes = NDArray[np.uint64]

# The constants of SplitMix64's finaliser.
_OFFSET, _FIRST, _SECOND = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)


def sketch(bases: NDArray[np.uint8]) -> tuple[NDArray[np.int64], Hashes]:
    """Pick the k-mers of a text.

    Args:
        bases: (n,) ASCII; a k-mer with anything but upper-case A, C, G and T is passed over.

    Returns:
        (m,) 0-based starts of the picked k-mers and their (m,) hashes, a one-to-one function of the k-mer.
    """
    if bases.size < K:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint64)
    ids = encode_ids(bases)
    hashes = _mix(_kmers(ids))
    unknown = np.concatenate([[0], np.cumsum(ids == UNKNOWN_ID, dtype=np.int64)])
    picked = (hashes >> np.uint64(64 - KEPT_BITS) == 0) & (unknown[K:] == unknown[:-K])
    starts = np.flatnonzero(picked)
    return starts, hashes[starts]


def _kmers(ids: NDArray[np.uint8]) -> Hashes:
    """The k-mers at all places as numbers, two bits a base; unknown bases count as A."""
    codes = (ids & 3).astype(np.uint64)
    width = 1
    while width < K:
        codes = (codes[:-width] << np.uint64(2 * width)) | codes[width:]
        width *= 2
    return codes


def _mix(codes: Hashes) -> Hashes:
    """SplitMix64's finaliser, a bijection of 64-bit numbers whose bits all depend on all bits."""
    codes = codes + _OFFSET
    codes = (codes ^ (codes >> np.uint64(30))) * _FIRST
    codes = (codes ^ (codes >> np.uint64(27))) * _SECOND
    return codes ^ (codes >> np.uint64(31))
