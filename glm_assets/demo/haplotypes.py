"""One of a person's two copies of a chromosome, and how a piece of it aligns to the reference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from glm_assets.demo.changes import Change

MATCH, INSERTION, DELETION, SOFT_CLIP = 0, 1, 2, 4  # as BAM numbers them
_INSERTED = -1
_FLANK = 6  # bases that a read has before its first and after its last insertion or deletion

Cigar = list[tuple[int, int]]


@dataclass(frozen=True)
class Haplotype:
    """A copy of a chromosome.

    Attributes:
        sequence: Its bases.
        places: 0-based position of each base on the reference; -1 of inserted ones.
    """

    sequence: str
    places: NDArray[np.int64]

    @classmethod
    def of(cls, reference: str, changes: Iterable[Change]) -> Haplotype:
        """Make changes to a reference.

        Args:
            reference: Bases of the chromosome.
            changes: In order of their places, none overlapping another.
        """
        pieces, places, done = [], [], 0
        for change in changes:
            kept = min(len(change.ref), len(change.alt))
            pieces += [reference[done : change.start], change.alt]
            inserted = np.full(len(change.alt) - kept, _INSERTED)
            places += [np.arange(done, change.start + kept), inserted]
            done = change.start + len(change.ref)
        pieces.append(reference[done:])
        places.append(np.arange(done, len(reference)))
        return cls("".join(pieces), np.concatenate(places))

    def index_of(self, place: int) -> int:
        """Index of the base at a position of the reference, or of the first after it where that is deleted."""
        return int(np.searchsorted(self._reached, place))

    @cached_property
    def _reached(self) -> NDArray[np.int64]:
        """The last position of the reference up to each base: ascending."""
        return np.maximum.accumulate(self.places)

    def cigar(self, start: int, length: int) -> Cigar | None:
        """How the bases `start` to `start + length` align; None where an aligner would not begin or end there."""
        places = self.places[start : start + length]
        ends = (places[:_FLANK], places[-_FLANK:])
        if any((end == _INSERTED).any() or (np.diff(end) != 1).any() for end in ends):
            return None
        found: Cigar = []
        last = int(places[0]) - 1
        for inserted, run in groupby(places.tolist(), key=lambda place: place == _INSERTED):
            if inserted:
                found.append((INSERTION, len(list(run))))
                continue
            for place in run:
                if place != last + 1:
                    found.append((DELETION, place - last - 1))
                _extend(found)
                last = place
        return found


def _extend(cigar: Cigar) -> None:
    """Add one aligned base."""
    if cigar and cigar[-1][0] == MATCH:
        cigar[-1] = (MATCH, cigar[-1][1] + 1)
    else:
        cigar.append((MATCH, 1))
