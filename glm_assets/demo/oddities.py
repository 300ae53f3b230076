"""Records of unusual shape that every real release has: alleles a filter must drop, and windows at the ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TypeVar

import numpy as np

from glm_assets.demo.changes import Change, deletion, insertion, substitutions
from glm_assets.demo.classifications import (
    NO_CLASSIFICATION,
    NO_CRITERIA,
    SINGLE,
    UNCERTAIN,
    Classification,
    draw_labelled,
)
from glm_assets.demo.consequences import consequence_of, plain_effect
from glm_assets.demo.genes import Gene, Interval
from glm_assets.demo.genome import Contig
from glm_assets.demo.records import Record

HALF_WINDOW = 512  # bases left of the variant in a window of 1,024

_PADDED_LOSS = 45  # bases lost by the deletion whose window ends too near the contig's end to be filled

_T = TypeVar("_T")


def odd_records(contig: Contig, rng: np.random.Generator) -> Iterator[Record]:
    """The odd records of one chromosome with genes, labels following from what the changes do."""
    return chain(_at_the_ends(contig, rng), _unplain_alleles(contig, rng), _long_alleles(contig, rng))


def _at_the_ends(contig: Contig, rng: np.random.Generator) -> Iterator[Record]:
    """Clamped windows at the left end; a deletion that needs padding and windows cut off at the right end."""
    sequence, last = contig.sequence, len(contig.sequence) - 1
    yield from _judged(contig, [substitutions(sequence, position)[0] for position in (0, 19)], rng)
    # The last window that fits starts at `last - 1023`, with its variant at this position.
    fits = last + 1 - HALF_WINDOW
    padded = (fits - shift for shift in range(_PADDED_LOSS))
    cut = (Change(start, sequence[start : start + 1 + _PADDED_LOSS], sequence[start]) for start in padded)
    yield from _first(_judged(contig, cut, rng))
    beyond = chain.from_iterable(substitutions(sequence, position) for position in range(fits + 1, last))
    yield from _first(_judged(contig, beyond, rng))
    yield from _judged(contig, substitutions(sequence, last)[:1], rng)


def _unplain_alleles(contig: Contig, rng: np.random.Generator) -> Iterator[Record]:
    """ALT of `.`, of IUPAC letters, of two alleles; REF with N."""
    sequence = contig.sequence
    gene, (start, end) = _longest_exon(contig)
    unchanged = "no_sequence_alteration"
    for position, said in (
        (start + 20, Classification("not_provided", NO_CLASSIFICATION)),
        (start + 40, Classification("Benign", NO_CRITERIA)),
    ):
        yield Record(contig, Change(position, sequence[position], "."), said, gene, unchanged)
    yield Record(contig, Change(start + 25, sequence[start + 25], "R"), UNCERTAIN, gene, "missense_variant")
    unknown = sequence[start + 30] + "ACGGCCTAAGTCA" + "N" * 10 + "GGCTTAACGTCA"
    yield from _judged(contig, [Change(start + 30, sequence[start + 30], unknown)], rng)
    two_stops = (
        Change(position, sequence[position], ",".join(stops))
        for position in range(start, end)
        if len(stops := _stops_at(position, gene, sequence)) > 1
    )
    for change in _first(two_stops):
        yield Record(contig, change, Classification("Pathogenic", SINGLE, 1), gene, "nonsense")
    if contig.unknown:
        before = contig.unknown[0] - 1
        yield Record(contig, Change(before, sequence[before : before + 3], sequence[before]), UNCERTAIN)


def _long_alleles(contig: Contig, rng: np.random.Generator) -> Iterator[Record]:
    """Several bases for as many others; indels of 50 and just above; long REF and ALT of little difference."""
    sequence = contig.sequence
    gene, (start, end) = _longest_exon(contig)
    pairs = (
        Change(position, sequence[position : position + 2], left.alt + right.alt)
        for position in range(start, end - 1)
        for left in substitutions(sequence, position)
        for right in substitutions(sequence, position + 1)
    )
    broken = (change for change in pairs if consequence_of(change, gene, sequence) == "nonsense")
    place = start + 10
    copied = {length: sequence[place - length : place] for length in (50, 58)}
    changes = [
        *_first(broken),
        *(deletion(sequence, place, length) for length in (50, 61)),
        *(insertion(sequence, place, bases) for bases in copied.values()),
    ]
    quiet = _quiet_place(contig)
    changes.append(_replacement(sequence, quiet, 2, 2, rng))
    changes.append(_replacement(sequence, quiet + 5, 120, 100, rng))
    # Its REF runs past the window's end although it loses only 20 bases.
    changes.append(_replacement(sequence, contig.genes[1].exons[0][0] + 5, 540, 520, rng))
    yield from _judged(contig, changes, rng)


def _judged(contig: Contig, changes: Iterable[Change], rng: np.random.Generator) -> Iterator[Record]:
    """Records of those changes whose effect is plain: they break a gene, spare it, or lie outside all genes."""
    for change in changes:
        gene = _gene_at(contig, change)
        if gene is None:
            yield Record(contig, change, draw_labelled(0, rng))
            continue
        effect = plain_effect(change, gene, contig.sequence)
        if effect:
            yield Record(contig, change, draw_labelled(effect.label, rng), gene, effect.consequence)


def _first(items: Iterable[_T]) -> list[_T]:
    """The first item, or nothing where there is none."""
    return list(islice(items, 1))


def _gene_at(contig: Contig, change: Change) -> Gene | None:
    """The gene between whose first and last coding base the change begins or ends."""
    end = change.start + len(change.ref)
    touched = (gene for gene in contig.genes if gene.exons[0][0] < end and change.start < gene.exons[-1][1])
    return next(touched, None)


def _longest_exon(contig: Contig) -> tuple[Gene, Interval]:
    """The longest exon that lies well inside the chromosome."""
    inner = [(gene, exon) for gene in contig.genes[1:-1] for exon in gene.exons]
    return max(inner, key=lambda found: found[1][1] - found[1][0])


def _quiet_place(contig: Contig) -> int:
    """Start of 160 bases that matter to no gene: inside an intron, or between genes where there is none."""
    introns = [intron for gene in contig.genes[1:-1] for intron in gene.introns]
    if introns:
        start, end = max(introns, key=lambda intron: intron[1] - intron[0])
        return (start + end) // 2 - 80
    return (contig.genes[0].exons[-1][1] + contig.genes[1].exons[0][0]) // 2


def _replacement(sequence: str, start: int, lost: int, gained: int, rng: np.random.Generator) -> Change:
    """Other bases for those at `start`; the first and last differ, so that the alleles cannot be shortened."""
    inner = "".join(rng.choice(list("ACGT"), size=gained - 2))
    first, last = (substitutions(sequence, position)[0].alt for position in (start, start + lost - 1))
    return Change(start, sequence[start : start + lost], first + inner + last)


def _stops_at(position: int, gene: Gene, sequence: str) -> list[str]:
    """The bases that make a stop codon at a position."""
    found = substitutions(sequence, position)
    return [change.alt for change in found if consequence_of(change, gene, sequence) == "nonsense"]
