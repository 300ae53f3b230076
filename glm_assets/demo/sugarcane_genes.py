"""A gene of the synthetic polyploid: parts that a copy may change without losing its reading frame or splice sites."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.demo.background import Bases
from glm_assets.demo.base_chain import LETTERS, Tape
from glm_assets.demo.codes import CODONS, STANDARD_CODE

DONOR_SHARES: Final = np.array(
    # A, C, G and T at the last three bases of an exon and the first six of an intron.
    [
        [0.33, 0.37, 0.18, 0.12], [0.60, 0.13, 0.13, 0.14], [0.08, 0.03, 0.81, 0.08],
        [0.00, 0.00, 1.00, 0.00], [0.00, 0.00, 0.00, 1.00], [0.53, 0.03, 0.42, 0.02],
        [0.71, 0.08, 0.12, 0.09], [0.07, 0.05, 0.84, 0.04], [0.16, 0.16, 0.21, 0.47],
    ]
)  # fmt: skip
"""Of the synthetic 5' splice sites."""

EXON_SIDE: Final = 3
"""Bases of `DONOR_SHARES` that belong to the exon."""

_STARTS: Final = "ATG"
_CODONS = (45, 560)  # as many genes are short as are long
_INTRONS = (0, 4)  # half-open ranges
_INTRON_LENGTH = (70, 220)
_LEADER_LENGTH = (40, 90)
_TRAILER_LENGTH = (60, 130)
_ACCEPTOR = b"TTTCTTTTGCAG"
_DONOR_BASES = len(DONOR_SHARES) - EXON_SIDE

Interval = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """A gene's bases in its own sense, and where its parts lie in them: 0-based, in order."""

    bases: Bases
    exons: tuple[Interval, ...]
    coding: tuple[Interval, ...]


@dataclass(frozen=True)
class PolyploidGene:
    """A gene without a place.

    Attributes:
        leader: Untranslated bases before the start codon.
        codons: Start codon to stop codon.
        cuts: Ascending places in the coding sequence at which an intron lies.
        introns: Bases of each, GT to AG.
        trailer: Untranslated bases after the stop codon.
    """

    leader: Bases
    codons: tuple[str, ...]
    cuts: tuple[int, ...]
    introns: tuple[Bases, ...]
    trailer: Bases

    def layout(self) -> Layout:
        """Put the parts together."""
        coding = np.frombuffer("".join(self.codons).encode("ascii"), np.uint8)
        edges = (0, *self.cuts, len(coding))
        pieces: list[Bases] = [self.leader]
        place, spans = len(self.leader), []
        for number, (left, right) in enumerate(pairwise(edges)):
            if number:
                pieces.append(self.introns[number - 1])
                place += len(self.introns[number - 1])
            pieces.append(coding[left:right])
            spans.append((place, place + right - left))
            place += right - left
        bases = np.concatenate([*pieces, self.trailer])
        starts, ends = [start for start, _ in spans], [end for _, end in spans]
        exons = zip([0, *starts[1:]], [*ends[:-1], len(bases)], strict=True)
        return Layout(bases, tuple(exons), tuple(spans))

    def mutated(self, rate: float, usage: NDArray[np.float64], rng: np.random.Generator) -> PolyploidGene:
        """A copy: some codons are others, some bases outside of them too; start, stop and splice sites stay."""
        redrawn = rng.choice(CODONS, len(self.codons), p=usage)
        changed = rng.random(len(self.codons)) < rate
        changed[[0, -1]] = False
        codons = tuple(
            str(new) if other else old for old, new, other in zip(self.codons, redrawn, changed, strict=True)
        )
        introns = tuple(
            np.concatenate(
                [
                    intron[:_DONOR_BASES],
                    mutate(intron[_DONOR_BASES : -len(_ACCEPTOR)], rate, rng),
                    intron[-len(_ACCEPTOR) :],
                ]
            )
            for intron in self.introns
        )
        leader, trailer = (mutate(part, rate, rng) for part in (self.leader, self.trailer))
        return replace(self, codons=codons, introns=introns, leader=leader, trailer=trailer)


def codon_usage(spread: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(64,) shares of the entries of `CODONS`, none of them of a stop codon."""
    weights = np.exp(rng.normal(0, spread, len(CODONS)))
    weights[[codon in STANDARD_CODE.stops for codon in CODONS]] = 0
    return weights / weights.sum()


def make_gene(tape: Tape, usage: NDArray[np.float64], rng: np.random.Generator) -> PolyploidGene:
    """Invent a gene with none to three introns."""
    length = round(float(np.exp(rng.uniform(*np.log(_CODONS)))))
    inner = rng.choice(CODONS, length, p=usage)
    codons = (_STARTS, *map(str, inner), str(rng.choice(STANDARD_CODE.stops)))
    number = int(rng.integers(*_INTRONS))
    # No exon is shorter than 30 bases.
    places = np.sort(rng.choice(np.arange(30, 3 * len(codons) - 30, 30), number, replace=False))
    cuts = tuple(int(place) + int(rng.integers(0, 3)) for place in places)
    introns = tuple(_intron(tape, rng) for _ in cuts)
    leader, trailer = (tape(int(rng.integers(*lengths))) for lengths in (_LEADER_LENGTH, _TRAILER_LENGTH))
    return PolyploidGene(leader, codons, cuts, introns, trailer)


def mutate(bases: Bases, rate: float, rng: np.random.Generator) -> Bases:
    """A copy in which a share of the bases is drawn anew."""
    changed = rng.random(len(bases)) < rate
    return np.where(changed, rng.choice(LETTERS, len(bases)), bases).astype(np.uint8)


def _intron(tape: Tape, rng: np.random.Generator) -> Bases:
    donor = [rng.choice(LETTERS, p=shares) for shares in DONOR_SHARES[EXON_SIDE:]]
    inner = tape(int(rng.integers(*_INTRON_LENGTH)))
    return np.concatenate([np.array(donor, np.uint8), inner, np.frombuffer(_ACCEPTOR, np.uint8)])
