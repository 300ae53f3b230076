"""K-mers of up to 31 bases as numbers, the same for both strands: equal numbers are equal k-mers, without exception."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import SettingsError
from glm_assets.genome.alphabet import UNKNOWN_ID, encode_ids

MAX_K: Final = 31
"""Two bits a base: 62 of 64 bits."""

Codes = NDArray[np.uint64]


def canonical_kmers(bases: NDArray[np.uint8], k: int) -> tuple[NDArray[np.int64], Codes]:
    """The k-mers at all places of a text.

    Args:
        bases: (n,) ASCII; a k-mer with anything but upper-case A, C, G and T is passed over. Sequences laid end to end
            with an N between them have no k-mer in common.
        k: 1 to `MAX_K`.

    Returns:
        (m,) 0-based starts, ascending, and (m,) codes: the smaller of the k-mer's own and its reverse complement's.

    Raises:
        SettingsError: k is out of range.
    """
    if not 1 <= k <= MAX_K:
        raise SettingsError(f"k-mers of {k} bases", expected=f"1 to {MAX_K}")
    if bases.size < k:
        return np.empty(0, np.int64), np.empty(0, np.uint64)
    ids = encode_ids(bases)
    unknown = np.concatenate([[0], np.cumsum(ids == UNKNOWN_ID, dtype=np.int32)])
    starts = np.flatnonzero(unknown[k:] == unknown[:-k])
    return starts, _codes((ids & 3).astype(np.uint64), k)[starts]


def _codes(ids: Codes, k: int) -> Codes:
    """(n - k + 1,) canonical codes; k-mers grow by doubling and by single bases, as the binary digits of k say."""
    three = np.uint64(3)
    forward, reverse, width = ids, three - ids, 1
    for digit in f"{k:b}"[1:]:
        shift = np.uint64(2 * width)
        forward = (forward[:-width] << shift) | forward[width:]
        reverse = (reverse[width:] << shift) | reverse[:-width]
        width *= 2
        if digit == "1":
            forward = (forward[:-1] << np.uint64(2)) | ids[width:]
            reverse = ((three - ids[width:]) << np.uint64(2 * width)) | reverse[:-1]
            width += 1
    return np.minimum(forward, reverse)


def sorted_once(codes: Codes) -> Codes:
    """Each code once, ascending."""
    # np.unique hashes whole numbers of 64 bits, which takes ninety times as long as to sort them.
    ordered = np.sort(codes)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)]]
