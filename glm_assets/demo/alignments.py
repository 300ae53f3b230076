"""Reads of an invented person around chosen places, as a sorted and indexed BAM."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from glm_assets.demo.genotypes import Genotypes
from glm_assets.demo.haplotypes import SOFT_CLIP, Cigar, Haplotype

REVERSE, SECONDARY, FAILED, DUPLICATE = 0x10, 0x100, 0x200, 0x400

_PER_HAPLOTYPE = 4  # good reads at each place
_LENGTHS, _LENGTH_WEIGHTS = (150, 148, 160), (0.8, 0.08, 0.12)
_BORDER = 15  # bases between a place and the ends of the reads that are made for it
_TRIES = 50
_ERRORS = 0.001  # a base
_CLIPPED, _CLIP_LENGTHS = 0.06, (5, 13)
_SPOILT = 0.5  # reads that most users leave out, for each place
_GOOD, _END_OF_READ, _BAD = 37, 25, 11  # base qualities
_LAST_BASES = 10
_MAPPING_QUALITY = 60


@dataclass(frozen=True)
class Read:
    """An aligned read; bases and qualities in the direction of the reference.

    Attributes:
        contig: Name in the BAM.
        start: 0-based position of the first aligned base.
        cigar: Operations and lengths.
        sequence: Bases.
        qualities: A number for each base.
        flag: As in a SAM file.
        mapping_quality: As in a SAM file.
    """

    contig: str
    start: int
    cigar: Cigar
    sequence: str
    qualities: bytes
    flag: int
    mapping_quality: int = _MAPPING_QUALITY


def draw_reads(genotypes: Genotypes, contig: str, rng: np.random.Generator) -> list[Read]:
    """Draw the reads of a chromosome: of each call and of each of the places `elsewhere`, some from both haplotypes.

    Args:
        genotypes: The chromosome.
        contig: Its name in the BAM.
        rng: Source of randomness.

    Returns:
        In order of their places.
    """
    reference = genotypes.contig.sequence
    haplotypes = []
    for number in (0, 1):
        changes = [change for call in genotypes.calls if (change := call.change(number))]
        haplotypes.append(Haplotype.of(reference, changes))
    places = sorted({call.start for call in genotypes.calls} | {one.change.start for one in genotypes.elsewhere})
    reads = [read for place in places for read in _around(place, haplotypes, contig, rng)]
    return sorted(reads, key=lambda read: read.start)


def write_bam(reads: Sequence[Read], contigs: Sequence[tuple[str, int]], individual: str, path: Path) -> None:
    """Write a BAM sorted by coordinate with its index `path.bai`; the same reads give the same bytes.

    Args:
        reads: By contig in the order of `contigs`, then by place.
        contigs: Name and length of each.
        individual: The sample.
        path: Final name, `.bam`.
    """
    import pysam

    header = pysam.AlignmentHeader.from_dict(
        {
            "HD": {"VN": "1.6", "SO": "coordinate"},
            "SQ": [{"SN": name, "LN": length} for name, length in contigs],
            "RG": [{"ID": "demo", "SM": individual, "PL": "ILLUMINA"}],
            "CO": ["SYNTHETIC: genome, person and reads are invented"],
        }
    )
    with pysam.AlignmentFile(str(path), "wb", header=header) as file:
        for number, read in enumerate(reads):
            line = pysam.AlignedSegment(header)
            line.query_name = f"{individual}:{number:06d}"
            line.flag = read.flag
            line.reference_name = read.contig
            line.reference_start = read.start
            line.mapping_quality = read.mapping_quality
            line.cigartuples = read.cigar
            line.query_sequence = read.sequence
            line.query_qualities = pysam.qualitystring_to_array("".join(chr(33 + q) for q in read.qualities))
            line.set_tag("RG", "demo")
            file.write(line)
    pysam.index(str(path))


def count_reads(reads: Sequence[Read]) -> dict[str, int]:
    """How many reads there are of each kind."""
    kinds: Counter[str] = Counter(reads=len(reads))
    for read in reads:
        kinds["reverse"] += bool(read.flag & REVERSE)
        kinds["secondary"] += bool(read.flag & SECONDARY)
        kinds["failed"] += bool(read.flag & FAILED)
        kinds["duplicates"] += bool(read.flag & DUPLICATE)
        kinds["low_mapping_quality"] += read.mapping_quality < _MAPPING_QUALITY
        kinds["soft_clipped"] += any(operation == SOFT_CLIP for operation, _ in read.cigar)
        kinds[f"length_{len(read.sequence)}"] += 1
    return dict(sorted(kinds.items()))


def _around(place: int, haplotypes: Sequence[Haplotype], contig: str, rng: np.random.Generator) -> Iterator[Read]:
    """Reads of both haplotypes over a place, and now and then one that is worth nothing."""
    good = [
        read
        for haplotype in haplotypes
        for _ in range(_PER_HAPLOTYPE)
        if (read := _good_read(place, haplotype, contig, rng))
    ]
    yield from good
    if good and rng.random() < _SPOILT:
        yield _spoilt(good[int(rng.integers(len(good)))], rng)


def _good_read(place: int, haplotype: Haplotype, contig: str, rng: np.random.Generator) -> Read | None:
    length = int(rng.choice(_LENGTHS, p=_LENGTH_WEIGHTS))
    index = haplotype.index_of(place)
    for _ in range(_TRIES):
        start = index - int(rng.integers(_BORDER, length - _BORDER))
        if cigar := haplotype.cigar(start, length):
            flag = REVERSE if rng.random() < 0.5 else 0
            sequence, qualities = _sequenced(haplotype.sequence[start : start + length], flag, rng)
            read = Read(contig, int(haplotype.places[start]), cigar, sequence, qualities, flag)
            return _clipped(read, rng) if rng.random() < _CLIPPED else read
    return None


def _sequenced(bases: str, flag: int, rng: np.random.Generator) -> tuple[str, bytes]:
    """The bases with a machine's errors, and what it thinks of them."""
    letters = np.frombuffer(bases.encode("ascii"), np.uint8).copy()
    qualities = np.full(letters.size, _GOOD, np.uint8)
    tail = slice(None, _LAST_BASES) if flag & REVERSE else slice(-_LAST_BASES, None)
    qualities[tail] = _END_OF_READ
    for wrong in np.flatnonzero(rng.random(letters.size) < _ERRORS):
        others = [letter for letter in b"ACGT" if letter != letters[wrong]]
        letters[wrong] = others[int(rng.integers(3))]
        qualities[wrong] = _BAD
    return letters.tobytes().decode("ascii"), qualities.tobytes()


def _clipped(read: Read, rng: np.random.Generator) -> Read:
    """Foreign bases at one end, as of an adapter, which the aligner leaves out."""
    count = int(rng.integers(*_CLIP_LENGTHS))
    foreign = "".join(rng.choice(list("ACGT"), size=count))
    (first, *middle), last = read.cigar, read.cigar[-1]
    if rng.random() < 0.5 and first[1] > count:
        cigar = [(SOFT_CLIP, count), (first[0], first[1] - count), *middle]
        return replace(read, start=read.start + count, cigar=cigar, sequence=foreign + read.sequence[count:])
    if last[1] > count:
        cigar = [*read.cigar[:-1], (last[0], last[1] - count), (SOFT_CLIP, count)]
        return replace(read, cigar=cigar, sequence=read.sequence[:-count] + foreign)
    return read


def _spoilt(read: Read, rng: np.random.Generator) -> Read:
    """A copy of a read that is marked as worth nothing, in one of four ways."""
    kind = int(rng.integers(4))
    if kind == 0:
        return replace(read, mapping_quality=int(rng.integers(0, 5)))
    return replace(read, flag=read.flag | (DUPLICATE, SECONDARY, FAILED)[kind - 1])
