"""Chromosomes of the synthetic polyploid: ancestors with genes, elements and repeats, and their diverged copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from glm_assets.demo.background import Bases
from glm_assets.demo.base_chain import Tape, make_chain
from glm_assets.demo.recipe import random_stream
from glm_assets.demo.sugarcane_genes import Interval, Layout, PolyploidGene, codon_usage, make_gene, mutate
from glm_assets.demo.sugarcane_recipe import SugarcaneRecipe, VarietyRecipe
from glm_assets.genome.alphabet import N, reverse_complement

_LOWER: Final = ord("a") - ord("A")
# Half-open ranges of bases between genes: neighbours that become one unit, and others.
_NEAR, _FAR = (120, 260), (900, 2_400)
_FAR_SHARE = 0.5
_PROMOTER, _PROMOTER_DISTANCE = (40, 80), 20
_ENHANCER = (120, 300)
_ENHANCER_FROM = 1_800  # bases between genes that have room for an enhancer of its own
_REPEAT_LENGTH, _REPEAT_DIVERGENCE = 240, 0.2
_UNKNOWN = 120
_MOTIFS: Final = ("AT", "GA", "AAG", "CATG", "GCCTA", "ACGTGT")
_COPIES = (8, 16)


@dataclass(frozen=True)
class Between:
    """Sequence between genes, with elements and soft-masked stretches at 0-based places in it."""

    bases: Bases
    masked: tuple[Interval, ...] = ()
    enhancer: Interval | None = None
    unknown: Interval | None = None
    microsatellite: str | None = None


@dataclass(frozen=True)
class PlacedGene:
    """A gene on a chromosome: its name, strand and the places of its parts, 0-based in the contig's order."""

    name: str
    strand: Literal["+", "-"]
    span: Interval
    exons: tuple[Interval, ...]
    coding: tuple[Interval, ...]
    promoter: Interval


@dataclass
class Chromosome:
    """A contig with what lies on it.

    Attributes:
        name: Such as `Chr1A`.
        bases: Soft-masked.
        genes: In order.
        enhancers: Places, in order.
        microsatellites: How many of each motif.
    """

    name: str
    bases: Bases
    genes: list[PlacedGene] = field(default_factory=list)
    enhancers: list[Interval] = field(default_factory=list)
    microsatellites: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Ancestor:
    between: tuple[Between, ...]
    genes: tuple[tuple[PolyploidGene, bool], ...]


def make_chromosomes(recipe: SugarcaneRecipe, variety: VarietyRecipe) -> list[Chromosome]:
    """The chromosomes of a variety, copies of ancestors that the varieties share."""
    chain = make_chain(recipe.context_spread, random_stream(recipe.seed, "chain"))
    usage = codon_usage(recipe.codon_spread, random_stream(recipe.seed, "codons"))
    repeat = chain.draw(_REPEAT_LENGTH, random_stream(recipe.seed, "repeat"))
    made = []
    for number, copies in enumerate(variety.copies, start=1):
        rng = random_stream(recipe.seed, "ancestor", str(number))
        rng = random_stream(recipe.seed, "ancestor", str(number))
        ancestor = _ancestor(recipe.genes, chain.tape(rng), usage, repeat, rng)
        for letter in copies:
            rng = random_stream(recipe.seed, "copy", variety.name, f"{number}{letter}")
            copy = _copy(ancestor, recipe.divergence, usage, rng)
            made.append(_assemble(f"{number}{letter}", copy))
    return made


def _ancestor(
    genes: int, tape: Tape, usage: NDArray[np.float64], repeat: Bases, rng: np.random.Generator
) -> _Ancestor:
    motifs = iter(rng.permutation(_MOTIFS).tolist())
    lengths = [int(rng.integers(*(_FAR if rng.random() < _FAR_SHARE else _NEAR))) for _ in range(genes - 1)]
    lengths = [int(rng.integers(*_FAR)), *lengths, int(rng.integers(*_FAR))]
    longest = int(np.argmax(lengths))
    between = tuple(
        _between(length, tape, repeat, motifs=motifs, unknown=place == longest, rng=rng)
        for place, length in enumerate(lengths)
    )
    made = tuple((make_gene(tape, usage, rng), bool(rng.random() < 0.5)) for _ in range(genes))
    return _Ancestor(between, made)


def _between(
    length: int,
    tape: Tape,
    repeat: Bases,
    *,
    motifs: Iterator[str],
    unknown: bool,
    rng: np.random.Generator,
) -> Between:
    """Long stretches have a repeat, a microsatellite and room for an enhancer, in that order, with bases between."""
    bases = tape(length)
    if length < _FAR[0]:
        return Between(bases)
    first = int(rng.integers(150, 250))
    copy = mutate(repeat, _REPEAT_DIVERGENCE, rng)
    bases[first : first + len(copy)] = copy if rng.random() < 0.5 else reverse_complement(copy)
    masked = [(first, first + len(copy))]
    motif = next(motifs, None)
    if motif is not None:
        text = np.frombuffer((motif * int(rng.integers(*_COPIES))).encode("ascii"), np.uint8)
        start = masked[0][1] + 60
        bases[start : start + len(text)] = text
        masked.append((start, start + len(text)))
    free = masked[-1][1] + 60
    gap = (free, free + _UNKNOWN) if unknown else None
    enhancer = None
    if length >= _ENHANCER_FROM:
        start = length // 2 + int(rng.integers(0, 100))
        enhancer = (start, start + int(rng.integers(*_ENHANCER)))
    return Between(bases, tuple(masked), enhancer, gap, motif)


def _copy(ancestor: _Ancestor, rate: float, usage: NDArray[np.float64], rng: np.random.Generator) -> _Ancestor:
    between = []
    for each in ancestor.between:
        bases = mutate(each.bases, rate, rng)
        if each.microsatellite:
            start, end = each.masked[-1]
            bases[start:end] = each.bases[start:end]
        between.append(Between(bases, each.masked, each.enhancer, each.unknown, each.microsatellite))
    genes = tuple((gene.mutated(rate, usage, rng), reverse) for gene, reverse in ancestor.genes)
    return _Ancestor(tuple(between), genes)


def _assemble(label: str, parts: _Ancestor) -> Chromosome:
    chromosome = Chromosome(f"Chr{label}", np.empty(0, np.uint8))
    pieces, place = [], 0
    for number, between in enumerate(parts.between):
        bases = between.bases.copy()
        for start, end in between.masked:
            bases[start:end] += _LOWER
        if between.unknown:
            bases[slice(*between.unknown)] = N
        if between.enhancer:
            chromosome.enhancers.append((place + between.enhancer[0], place + between.enhancer[1]))
        if between.microsatellite:
            chromosome.microsatellites[between.microsatellite] += 1
        pieces.append(bases)
        place += len(bases)
        if number < len(parts.genes):
            gene, reverse = parts.genes[number]
            layout = gene.layout()
            chromosome.genes.append(_placed(f"SynSo{label}{number + 1:03d}", layout, place, reverse=reverse))
            pieces.append(reverse_complement(layout.bases) if reverse else layout.bases)
            place += len(layout.bases)
    chromosome.bases = np.concatenate(pieces)
    return chromosome


def _placed(name: str, layout: Layout, start: int, *, reverse: bool) -> PlacedGene:
    end = start + len(layout.bases)

    def places(parts: tuple[Interval, ...]) -> tuple[Interval, ...]:
        if reverse:
            return tuple((end - right, end - left) for left, right in reversed(parts))
        return tuple((start + left, start + right) for left, right in parts)

    width = _PROMOTER[0] + len(layout.bases) % (_PROMOTER[1] - _PROMOTER[0])
    near, far = _PROMOTER_DISTANCE, _PROMOTER_DISTANCE + width
    promoter = (end + near, end + far) if reverse else (start - far, start - near)
    return PlacedGene(
        name, "-" if reverse else "+", (start, end), places(layout.exons), places(layout.coding), promoter
    )
