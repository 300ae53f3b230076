"""BAM files written by pysam, read by read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

_FLAGS = {"paired": 1, "unmapped": 4, "reverse": 16, "read1": 64, "read2": 128, "secondary": 256, "qc_fail": 512}
_FLAGS |= {"duplicate": 1024, "supplementary": 2048}
_CONSUMES_REFERENCE = "MDN=X"
_CONSUMES_QUERY = "MIS=X"


def random_bases(length: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


def parse_cigar(text: str) -> list[tuple[str, int]]:
    parts, number = [], ""
    for letter in text:
        if letter.isdigit():
            number += letter
        else:
            parts.append((letter, int(number)))
            number = ""
    return parts


@dataclass
class Read:
    """A read as SAM has it: `sequence` is on the forward strand whatever the flags say."""

    name: str
    start: int
    cigar: str
    sequence: str
    flags: Sequence[str] = ()
    mapping_quality: int = 60
    quality: int = 30
    low: Sequence[int] = field(default=())

    @property
    def flag(self) -> int:
        return sum(_FLAGS[name] for name in self.flags)


def read_of(
    reference: str, name: str, start: int, cigar: str, *, snv: dict[int, str] | None = None, **other
) -> Read:
    """A read that agrees with the reference but for `snv` (0-based position to base); inserts and clips are T's."""
    bases, position = "", start
    for letter, length in parse_cigar(cigar):
        if letter in "M=X":
            bases += "".join((snv or {}).get(i, reference[i]) for i in range(position, position + length))
        elif letter in "IS":
            bases += "T" * length
        position += length if letter in _CONSUMES_REFERENCE else 0
    return Read(name, start, cigar, bases, **other)


def write_bam(
    path: Path,
    reads: Iterable[Read],
    *,
    contig: str = "chr21",
    length: int = 46_709_983,
    order: str = "coordinate",
    index: bool = True,
) -> Path:
    """Write reads in the order of their starts; equal starts stay in the given order."""
    import pysam

    header = {"HD": {"VN": "1.6", "SO": order}, "SQ": [{"SN": contig, "LN": length}]}
    with pysam.AlignmentFile(str(path), "wb", header=header) as file:
        for read in sorted(reads, key=lambda read: read.start) if order == "coordinate" else reads:
            file.write(_segment(read, file.header))
    if index:
        pysam.index(str(path))
    return path


def _segment(read: Read, header):
    import pysam

    segment = pysam.AlignedSegment(header)
    segment.query_name = read.name
    segment.flag = read.flag
    segment.reference_id = 0
    segment.reference_start = read.start
    segment.mapping_quality = read.mapping_quality
    segment.cigarstring = read.cigar
    segment.query_sequence = read.sequence
    qualities = [2 if index in read.low else read.quality for index in range(len(read.sequence))]
    segment.query_qualities = pysam.qualitystring_to_array("".join(chr(33 + quality) for quality in qualities))
    return segment
