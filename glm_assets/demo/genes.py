"""The model of a protein-coding gene, and how one is written into a sequence.

Positions are 0-based on the contig, intervals half-open and in contig order; sequences of a gene are in the sense
of its own strand.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from glm_assets.demo.background import Bases, make_background
from glm_assets.demo.codes import CODONS, GeneticCode
from glm_assets.genome.alphabet import reverse_complement

Interval = tuple[int, int]

_KOZAK = b"GCCACC"
_POLY_A_SIGNAL = b"AATAAA"
_DONOR = b"GTAAGT"
_ACCEPTOR = b"TTTCTTTCCTTTTGCAG"
_EXONS = (2, 6)  # half-open ranges
_EXON_LENGTH = (90, 181)
_INTRON_LENGTH = (160, 360)
_SINGLE_EXON_LENGTH = (600, 901)
_TAIL_LENGTH = 40  # from the stop codon to the poly-A signal


@dataclass(frozen=True)
class Gene:
    """A gene on one contig.

    Attributes:
        symbol: Name in GENEINFO.
        gene_id: Number in GENEINFO.
        reverse: Whether the gene lies on the reverse strand.
        exons: Coding intervals in contig order.
        code: Its translation table.
    """

    symbol: str
    gene_id: int
    reverse: bool
    exons: tuple[Interval, ...]
    code: GeneticCode

    @property
    def introns(self) -> tuple[Interval, ...]:
        """Intervals between the exons, in contig order."""
        return tuple((left[1], right[0]) for left, right in pairwise(self.exons))

    def sense(self, forward: str) -> str:
        """`forward`, a piece of the contig's forward strand, in the sense of the gene."""
        if not self.reverse:
            return forward
        return reverse_complement(np.frombuffer(forward.encode("ascii"), np.uint8)).tobytes().decode("ascii")

    def coding_sequence(self, contig: str) -> str:
        """The spliced coding sequence, start codon to stop codon."""
        return self.sense("".join(contig[start:end] for start, end in self.exons))

    def splice_sites(self) -> dict[int, str]:
        """The two intron bases next to each exon: position to Sequence Ontology term."""
        left, right = "splice_donor_variant", "splice_acceptor_variant"
        if self.reverse:
            left, right = right, left
        sites: dict[int, str] = {}
        for start, end in self.introns:
            sites |= {start: left, start + 1: left, end - 2: right, end - 1: right}
        return sites


@dataclass(frozen=True)
class GeneSequence:
    """A gene before it has a place: its bases in sense, and its exons relative to their start."""

    bases: Bases
    exons: tuple[Interval, ...]

    def placed(self, start: int, *, reverse: bool) -> tuple[Bases, tuple[Interval, ...]]:
        """The forward-strand bases to write at `start`, and the exons on the contig."""
        if not reverse:
            return self.bases, tuple((start + left, start + right) for left, right in self.exons)
        end = start + self.bases.size
        mirrored = tuple((end - right, end - left) for left, right in reversed(self.exons))
        return reverse_complement(self.bases), mirrored


def make_gene_sequence(code: GeneticCode, *, spliced: bool, rng: np.random.Generator) -> GeneSequence:
    """Invent a gene: Kozak context, exons joined by GT..AG introns, a stop codon, a poly-A signal.

    Args:
        code: Translation table; the open reading frame has no stop but its last codon.
        spliced: Several exons, whose borders fall anywhere in the reading frame; else one longer exon.
        rng: Source of randomness.
    """
    if spliced:
        lengths = [int(n) for n in rng.integers(*_EXON_LENGTH, size=int(rng.integers(*_EXONS)))]
    else:
        lengths = [int(rng.integers(*_SINGLE_EXON_LENGTH))]
    lengths[-1] += -sum(lengths) % 3
    coding = _open_reading_frame(sum(lengths) // 3, code, rng)
    bases, exons = bytearray(_KOZAK), []
    for number, length in enumerate(lengths):
        if number:
            bases += _intron(rng)
        exons.append((len(bases), len(bases) + length))
        bases += coding[:length]
        coding = coding[length:]
    bases += make_background(_TAIL_LENGTH, rng).tobytes() + _POLY_A_SIGNAL
    return GeneSequence(np.frombuffer(bytes(bases), np.uint8), tuple(exons))


def _open_reading_frame(codons: int, code: GeneticCode, rng: np.random.Generator) -> bytes:
    inner = rng.choice(CODONS, p=code.usage(), size=codons - 2)
    return "".join(["ATG", *inner, str(rng.choice(code.stops))]).encode("ascii")


def _intron(rng: np.random.Generator) -> bytes:
    inner = int(rng.integers(*_INTRON_LENGTH)) - len(_DONOR) - len(_ACCEPTOR)
    return _DONOR + make_background(inner, rng).tobytes() + _ACCEPTOR
