"""Runs of known bases: what lies between the N and the other codes of a genome."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from glm_assets.genome.alphabet import UNKNOWN_ID, encode_ids, upper


def known_runs(chunks: Iterable[NDArray[np.uint8]]) -> NDArray[np.int64]:
    """Find the runs of A, C, G and T, in either case, of one sequence.

    Args:
        chunks: The sequence as ASCII, some bases at a time: no more than one is held.

    Returns:
        (r, 2) 0-based first base and base after the last of each run, as long as they are, in their order.
    """
    edges, place, known = [np.zeros(0, np.int64)], 0, False
    for chunk in chunks:
        here = encode_ids(upper(chunk)) != UNKNOWN_ID
        edges.append(np.flatnonzero(np.diff(here, prepend=known)) + place)
        place += len(chunk)
        known = bool(here[-1]) if len(here) else known
    if known:
        edges.append(np.array([place]))
    return np.concatenate(edges).reshape(-1, 2)
