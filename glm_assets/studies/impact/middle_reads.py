"""The original's choice of a read, kept with its faults: the middle one of those that overlap a locus.

No flag, quality, CIGAR or allele is looked at; the sequence is the read as the machine gave it, not turned to the
forward strand; and the 1-based position is compared with the read's 0-based start.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from glm_assets.sources.alignments import Alignments
from glm_assets.studies.impact.read_choice import ChosenRead
from glm_assets.studies.impact.sightings import OTHER, Alleles, Blocks, allele_at, mate_name

if TYPE_CHECKING:
    import pysam


def middle_reads(
    alignments: Alignments, chrom: str, alleles: Alleles, length: int, counts: Counter[str]
) -> Iterator[ChosenRead]:
    """Take one read of each variant that any read overlaps.

    Of the reads that overlap the position, those shorter than `length` are dropped, those of that length stay, and
    longer ones stay if the 1-based position less the 0-based start is below `length`. The middle one of the list is
    cut to `length` from its own 5' end.

    Args:
        alignments: The person's reads.
        chrom: Chromosome key.
        alleles: The variants.
        length: Bases of an example.
        counts: Told of `reads`, and `dropped:<reason>` for reads at variants: `short`, `far`, `not_in_the_middle`.

    Yields:
        By variant. What the read shows is told where its alignment tells it; the offset is -1.
    """
    starts = alleles.starts.tolist()
    for first, behind in alleles.stretches():
        lists: list[list[pysam.AlignedSegment]] = [[] for _ in range(first, behind)]
        for read in alignments.reads(chrom, starts[first], starts[behind - 1] + 1):
            counts["reads"] += 1
            low = bisect_left(starts, read.reference_start, first, behind)
            # An unmapped read beside its mate has no end, and counts as one base.
            high = bisect_left(starts, read.reference_end or read.reference_start + 1, first, behind)
            for variant in range(low, high):
                if reason := _why_not(read, starts[variant], length):
                    counts[f"dropped:{reason}"] += 1
                else:
                    lists[variant - first].append(read)
        for variant, reads in enumerate(lists, start=first):
            if reads:
                counts["dropped:not_in_the_middle"] += len(reads) - 1
                yield _chosen(reads[len(reads) // 2], variant, alleles, length)


def _why_not(read: pysam.AlignedSegment, start: int, length: int) -> str | None:
    bases = len(read.query_sequence or "")
    if bases < length:
        return "short"
    position = start + 1
    return "far" if bases > length and position - read.reference_start >= length else None


def _chosen(read: pysam.AlignedSegment, variant: int, alleles: Alleles, length: int) -> ChosenRead:
    blocks = Blocks(read.cigartuples or (), read.reference_start)
    start, ref, alt = int(alleles.starts[variant]), alleles.refs[variant], alleles.alts[variant]
    shown = allele_at(blocks, (read.query_sequence or "").upper(), start, ref, alt)
    return ChosenRead(
        variant=variant,
        name=mate_name(read),
        reverse=read.is_reverse,
        sequence=(read.get_forward_sequence() or "")[:length].upper(),
        offset=-1,
        allele=shown[0] if shown else OTHER,
        mapping_quality=read.mapping_quality,
    )
