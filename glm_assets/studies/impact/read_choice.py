"""Of the reads that show a variant's allele, the best ones, cut to the length of an example."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.genome.intervals import Positions
from glm_assets.studies.impact.sightings import ALTERNATE, OTHER, SeenRead, Sighting

_BASES: Final = frozenset("ACGT")


@dataclass(frozen=True)
class ChosenRead:
    """An example.

    Attributes:
        variant: Its number among the variants.
        name: Of the read, with /1 or /2 of a pair.
        reverse: Whether it was mapped as its reverse complement.
        sequence: The example's bases.
        offset: Index in `sequence` of the variant's first base; -1 where unknown.
        allele: What the read shows: alternate, reference or other.
        mapping_quality: MAPQ.
    """

    variant: int
    name: str
    reverse: bool
    sequence: str
    offset: int
    allele: str
    mapping_quality: int


@dataclass(frozen=True)
class Choice:
    """What is wanted of n variants.

    Attributes:
        starts: (n,) 0-based positions.
        wanted: (n,) the alleles, `alternate` or `reference`, whose reads are wanted.
        scores: (n,) what a read of the alternate allele stands for; a reference read stands for 0.
        carried: (n,) whether the person carries the alternate allele.
        length: Bases of an example.
        per_variant: Reads of a variant and allele, at most.
    """

    starts: Positions
    wanted: Sequence[frozenset[str]]
    scores: NDArray[np.float64]
    carried: NDArray[np.bool_]
    length: int
    per_variant: int


def choose_reads(reads: Iterable[SeenRead], choice: Choice, counts: Counter[str]) -> Iterator[ChosenRead]:
    """Choose the best reads of each variant and allele.

    A read is better that has the variant nearer to the middle of the cut, then the one of higher mapping quality, then
    the one whose name comes first. The order of the file does not matter.

    Args:
        reads: By position.
        choice: What is wanted.
        counts: Told of `dropped:<reason>` for each sighting that gives no example: `other_allele`, `unwanted_allele`,
            `short` (the read), `long_allele`, `ambiguous_bases`, `worse_allele` (it shows a carried allele of a higher
            score besides), `mate` and `beyond_per_variant`.

    Yields:
        Variant by variant; those that lie behind the reads' place first.
    """
    waiting: dict[int, list[_Candidate]] = {}
    for read in reads:
        for passed in [variant for variant in waiting if choice.starts[variant] < read.start]:
            yield from _best(waiting.pop(passed), choice.per_variant, counts)
        ambiguous = not _BASES.issuperset(read.sequence)
        for sighting in read.sightings:
            found = _candidate(read, sighting, choice, ambiguous=ambiguous)
            if isinstance(found, str):
                counts[f"dropped:{found}"] += 1
            else:
                waiting.setdefault(sighting.variant, []).append(found)
    for candidates in waiting.values():
        yield from _best(candidates, choice.per_variant, counts)


def cut_start(first: int, size: int, read_length: int, length: int) -> int:
    """Where to cut a read so that an allele is as near the middle of the cut as the read's ends allow.

    Args:
        first: Index in the read of the allele's first base.
        size: Its bases, at most `length`.
        read_length: Bases of the read, `length` at least.
        length: Bases of the cut.
    """
    return min(max(first + size // 2 - length // 2, 0), read_length - length)


@dataclass(frozen=True)
class _Candidate:
    read: SeenRead
    sighting: Sighting
    start: int
    length: int

    @property
    def rank(self) -> tuple[int, int, str]:
        """Distance of the variant's middle from that of the cut, in half bases; then what decides among equals."""
        middle = self.sighting.first + self.sighting.behind - 2 * self.start
        return abs(middle - self.length), -self.read.mapping_quality, self.read.name

    def chosen(self) -> ChosenRead:
        return ChosenRead(
            variant=self.sighting.variant,
            name=self.read.name,
            reverse=self.read.reverse,
            sequence=self.read.sequence[self.start : self.start + self.length],
            offset=self.sighting.first - self.start,
            allele=self.sighting.allele,
            mapping_quality=self.read.mapping_quality,
        )


def _candidate(read: SeenRead, sighting: Sighting, choice: Choice, *, ambiguous: bool) -> _Candidate | str:
    """The cut read, or why it is none."""
    if reason := _unfit(read, sighting, choice):
        return reason
    size = sighting.behind - sighting.first
    start = cut_start(sighting.first, size, len(read.sequence), choice.length)
    if ambiguous and not _BASES.issuperset(read.sequence[start : start + choice.length]):
        return "ambiguous_bases"
    if _shows_worse(read, sighting, choice, start):
        return "worse_allele"
    return _Candidate(read, sighting, start, choice.length)


def _unfit(read: SeenRead, sighting: Sighting, choice: Choice) -> str | None:
    """Why a read cannot be cut to an example, if so."""
    if sighting.allele == OTHER:
        return "other_allele"
    if sighting.allele not in choice.wanted[sighting.variant]:
        return "unwanted_allele"
    if len(read.sequence) < choice.length:
        return "short"
    return "long_allele" if sighting.behind - sighting.first > choice.length else None


def _shows_worse(read: SeenRead, sighting: Sighting, choice: Choice, start: int) -> bool:
    """Whether a read shows, inside its cut, a carried allele of a higher score than it would stand for."""
    own = choice.scores[sighting.variant] if sighting.allele == ALTERNATE else 0.0
    return any(
        seen.allele == ALTERNATE
        and choice.carried[seen.variant]
        and choice.scores[seen.variant] > own
        and start <= seen.first < start + choice.length
        for seen in read.sightings
    )


def _best(candidates: list[_Candidate], per_variant: int, counts: Counter[str]) -> Iterator[ChosenRead]:
    """The best candidates of one variant, alternate allele first."""
    taken: Counter[str] = Counter()
    fragments: set[tuple[str, str]] = set()
    for candidate in sorted(candidates, key=lambda candidate: (candidate.sighting.allele, candidate.rank)):
        allele, fragment = candidate.sighting.allele, candidate.read.fragment
        if (allele, fragment) in fragments:
            counts["dropped:mate"] += 1
        elif taken[allele] == per_variant:
            counts["dropped:beyond_per_variant"] += 1
        else:
            fragments.add((allele, fragment))
            taken[allele] += 1
            yield candidate.chosen()
