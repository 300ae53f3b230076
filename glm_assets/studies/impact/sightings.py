"""What reads show of variants: for each read, which allele its bases spell at the variants that it spans.

A read shows an allele if the bases that its CIGAR aligns to REF's place are that allele, letter by letter. Where the
alleles differ in length, what is inserted behind the last base of REF counts too, and the base behind must be aligned:
so a longer deletion or insertion is another allele. Both the reads and the variants are expected as far left as they
go, as aligners and VCF have them. Soft clips show nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from glm_assets.genome.intervals import Positions, overlap_components
from glm_assets.sources.alignments import Alignments

if TYPE_CHECKING:
    import pysam

ALTERNATE: Final = "alternate"
REFERENCE: Final = "reference"
OTHER: Final = "other"

DROPPED_FLAGS: Final = {
    "unmapped": 0x4,
    "secondary": 0x100,
    "supplementary": 0x800,
    "qc_fail": 0x200,
    "duplicate": 0x400,
}
"""Why a read is not looked at: bit of SAM's FLAG."""

_ANY_DROPPED: Final = sum(DROPPED_FLAGS.values())
# Variants at most so far apart are read in one go.
_GAP: Final = 1000
# SAM specification, section 1.4.6: what consumes the query, the reference, both.
_MATCHES, _QUERY_ONLY, _REFERENCE_ONLY, _SKIP = frozenset({0, 7, 8}), frozenset({1, 4}), frozenset({2, 3}), 3


@dataclass(frozen=True)
class Alleles:
    """Variants of one chromosome, by position.

    Attributes:
        starts: (n,) 0-based first positions of REF, ascending.
        refs: (n,) reference alleles.
        alts: (n,) alternate alleles.
    """

    starts: Positions
    refs: Sequence[str]
    alts: Sequence[str]

    def stretches(self, reach: int = 0) -> Iterator[tuple[int, int]]:
        """Ranges of variants that lie near each other.

        Args:
            reach: Bases; variants that are no farther apart are in one range, whatever else.
        """
        components = overlap_components(self.starts, self.starts + max(_GAP, reach + 1))
        borders = np.flatnonzero(np.diff(components, prepend=-1, append=-1))
        yield from zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True)


@dataclass(frozen=True)
class ReadThresholds:
    """Which reads and bases count: Phred qualities, both included."""

    min_mapping_quality: int
    min_base_quality: int


class Sighting(NamedTuple):
    """What a read shows of a variant: number of the variant, the allele, and where the bases lie in the read."""

    variant: int
    allele: str
    first: int
    behind: int


class Blocks:
    """Where the bases of a read are aligned.

    Args:
        cigar: SAM's operations and lengths.
        start: 0-based position of the first aligned base.
    """

    def __init__(self, cigar: Sequence[tuple[int, int]], start: int) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.skips: list[tuple[int, int]] = []
        self._queries: list[int] = []
        query, position = 0, start
        for operation, length in cigar:
            if operation in _MATCHES:
                self.starts.append(position)
                self.ends.append(position + length)
                self._queries.append(query)
                query, position = query + length, position + length
            elif operation in _QUERY_ONLY:
                query += length
            elif operation in _REFERENCE_ONLY:
                if operation == _SKIP:
                    self.skips.append((position, position + length))
                position += length

    def index(self, position: int) -> int | None:
        """Index in the read of the base that is aligned to a position; None where none is."""
        block = bisect_right(self.starts, position) - 1
        if block < 0 or position >= self.ends[block]:
            return None
        return self._queries[block] + position - self.starts[block]

    def spans(self, start: int, end: int) -> bool:
        """Whether the read is aligned on both sides of [start, end) and jumps over nothing of it."""
        if not self.starts or start < self.starts[0] or end > self.ends[-1]:
            return False
        return not self.skips or not any(first < end and start < last for first, last in self.skips)

    def bases(self, start: int, end: int, *, with_insertion: bool) -> tuple[int, int] | None:
        """Slice of the read that is aligned to [start, end), or None where it begins or ends in a deletion.

        Args:
            start: 0-based first position.
            end: Position behind the last one.
            with_insertion: Take in what is inserted before `end`, whose base must be aligned too.
        """
        first, last = self.index(start), self.index(end if with_insertion else end - 1)
        if first is None or last is None:
            return None
        return first, last if with_insertion else last + 1


@dataclass(frozen=True)
class SeenRead:
    """A read and what it shows.

    Attributes:
        fragment: Name of the read without its place in the pair.
        name: With /1 or /2 of a pair.
        start: 0-based position of the first aligned base.
        reverse: Whether it was mapped as its reverse complement.
        sequence: Its bases on the forward strand, with soft clips, upper case.
        mapping_quality: MAPQ.
        sightings: By variant.
    """

    fragment: str
    name: str
    start: int
    reverse: bool
    sequence: str
    mapping_quality: int
    sightings: list[Sighting]


def seen_reads(
    alignments: Alignments,
    chrom: str,
    alleles: Alleles,
    thresholds: ReadThresholds,
    counts: Counter[str],
    *,
    reach: int = 0,
) -> Iterator[SeenRead]:
    """Go once through the reads near the variants, in the file's order.

    Args:
        alignments: The person's reads.
        chrom: Chromosome key.
        alleles: The variants.
        thresholds: Which reads and bases count.
        counts: Told of `reads`, `dropped_reads:<reason>`, `sightings` and `dropped:<reason>`. A read that lies near
            two stretches of variants is met, and counted, in both.
        reach: Bases over which all that a read shows is wanted together.

    Yields:
        Reads that show something.
    """
    starts = alleles.starts.tolist()
    for first, behind in alleles.stretches(reach):
        for read in alignments.reads(chrom, starts[first], starts[behind - 1] + 1):
            counts["reads"] += 1
            if reason := _why_not(read, thresholds):
                counts[f"dropped_reads:{reason}"] += 1
                continue
            low = bisect_left(starts, read.reference_start, first, behind)
            high = bisect_left(starts, read.reference_end or 0, first, behind)
            variants = [(i, starts[i], alleles.refs[i], alleles.alts[i]) for i in range(low, high)]
            if sightings := _sightings(read, variants, thresholds, counts):
                yield _seen(read, sightings)


def mate_name(read: pysam.AlignedSegment) -> str:
    """Name of a read with /1 or /2 where it is one of a pair."""
    suffix = ("/1" if read.is_read1 else "/2") if read.is_paired and read.is_read1 != read.is_read2 else ""
    return f"{read.query_name}{suffix}"


def allele_at(blocks: Blocks, sequence: str, start: int, ref: str, alt: str) -> tuple[str, int, int] | None:
    """Which allele a read shows, and the slice that shows it; None if it does not span the variant.

    Args:
        blocks: How the read is aligned.
        sequence: Its bases, as `blocks` count them.
        start: 0-based position of the first base of `ref`.
        ref: Reference allele.
        alt: Alternate allele.
    """
    end, gapped = start + len(ref), len(ref) != len(alt)
    if not blocks.spans(start, end + gapped):
        return None
    found = blocks.bases(start, end, with_insertion=gapped)
    if found is None:
        return OTHER, 0, 0
    shown = sequence[slice(*found)]
    return (ALTERNATE if shown == alt else REFERENCE if shown == ref else OTHER), *found


def _why_not(read: pysam.AlignedSegment, thresholds: ReadThresholds) -> str | None:
    if read.flag & _ANY_DROPPED:
        return next(reason for reason, bit in DROPPED_FLAGS.items() if read.flag & bit)
    if read.mapping_quality < thresholds.min_mapping_quality:
        return "low_mapping_quality"
    return None if read.query_sequence and read.cigartuples else "no_sequence"


def _sightings(
    read: pysam.AlignedSegment,
    variants: Sequence[tuple[int, int, str, str]],
    thresholds: ReadThresholds,
    counts: Counter[str],
) -> list[Sighting]:
    if not variants:
        return []
    blocks = Blocks(read.cigartuples or (), read.reference_start)
    sequence = (read.query_sequence or "").upper()
    qualities = read.query_qualities if thresholds.min_base_quality else None
    found = []
    for variant, start, ref, alt in variants:
        shown = allele_at(blocks, sequence, start, ref, alt)
        if shown is None:
            counts["dropped:not_spanned"] += 1
            continue
        allele, first, behind = shown
        if thresholds.min_base_quality and behind > first:
            if qualities is None:
                counts["dropped:no_base_quality"] += 1
                continue
            if min(qualities[first:behind]) < thresholds.min_base_quality:
                counts["dropped:low_base_quality"] += 1
                continue
        found.append(Sighting(variant, allele, first, behind))
    counts["sightings"] += len(found)
    return found


def _seen(read: pysam.AlignedSegment, sightings: list[Sighting]) -> SeenRead:
    return SeenRead(
        fragment=read.query_name or "",
        name=mate_name(read),
        start=read.reference_start,
        reverse=read.is_reverse,
        sequence=(read.query_sequence or "").upper(),
        mapping_quality=read.mapping_quality,
        sightings=sightings,
    )
