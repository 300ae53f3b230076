"""What one invented person has on a chromosome: the calls of their VCF, and where else their reads shall lie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from glm_assets.demo.changes import Change, substitutions
from glm_assets.demo.genome import Contig
from glm_assets.demo.recipe import MITOCHONDRION
from glm_assets.demo.records import Record

NO_CALL = -1
PASS, LOW_QUALITY = "PASS", "LowQual"

# Consequences of one impact each: high, moderate, low, modifier. Of each about as many are carried.
_IMPACTS = (
    ("nonsense", "frameshift_variant", "splice_donor_variant", "splice_acceptor_variant", "stop_lost"),
    ("missense_variant", "inframe_deletion", "inframe_insertion"),
    ("synonymous_variant",),
    ("intron_variant",),
)
_SHARE, _LEAST = 0.03, 6  # of the chromosome's records, for each impact
_LONGEST = 30  # bases of an allele: a read of 150 shall show it and both sides
_END = 250  # bases that variants keep from the ends of a contig and from unknown bases
_APART = 3  # bases between variants of the person: each has its own record
_HOMOZYGOUS = 0.35
_FOREIGN, _FILTERED, _UNCALLED, _HOMOZYGOUS_REFERENCE = 8, 3, 2, 2
_NEAR = 40  # bases from a carried variant within which a foreign one lies


@dataclass(frozen=True)
class Call:
    """A record of the person's VCF.

    Attributes:
        start: 0-based position of the first base of `ref`.
        ref: Bases of the reference.
        alts: Alternate alleles in the order of the record.
        genotype: Allele of each haplotype: 0 is REF, `NO_CALL` unknown. One number on the mitochondrion.
        known: ClinVar's record of each ALT; None where it has none.
        passes: Value of FILTER.
    """

    start: int
    ref: str
    alts: tuple[str, ...]
    genotype: tuple[int, ...]
    known: tuple[Record | None, ...]
    passes: str = PASS

    def change(self, haplotype: int) -> Change | None:
        """What the haplotype has here in place of the reference; None where that is nothing, or not certain."""
        allele = self.genotype[haplotype % len(self.genotype)]
        if allele <= 0 or self.passes != PASS:
            return None
        return Change(self.start, self.ref, self.alts[allele - 1])

    @property
    def carried(self) -> tuple[Record, ...]:
        """ClinVar's records of the alleles that the person has, as a reader of the VCF must find them."""
        alleles = set(self.genotype) if self.passes == PASS else set()
        return tuple(record for number, record in enumerate(self.known, 1) if record and number in alleles)


@dataclass(frozen=True)
class Genotypes:
    """One chromosome of the person.

    Attributes:
        contig: The chromosome.
        calls: In VCF order.
        elsewhere: Records of ClinVar that the person lacks and that reads shall cover all the same.
        unused: Records of which neither is true, to make new reads and variants of.
    """

    contig: Contig
    calls: tuple[Call, ...]
    elsewhere: tuple[Record, ...]
    unused: tuple[Record, ...]


def draw_genotypes(contig: Contig, records: Iterable[Record], rng: np.random.Generator) -> Genotypes:
    """Draw what the person has on one chromosome.

    Args:
        contig: The chromosome.
        records: ClinVar's records on it.
        rng: Source of randomness.
    """
    usable = [record for record in records if _is_usable(record, contig)]
    drawn = _Draw(contig, [usable[number] for number in rng.permutation(len(usable))], rng)
    if drawn.ploidy == 2:
        drawn.add_two_alleles()
        drawn.add_padded()
    quota = max(_LEAST, round(_SHARE * len(usable)))
    for terms in _IMPACTS:
        drawn.add_plain(quota, terms)
    every = tuple(term for terms in _IMPACTS for term in terms)
    drawn.add_plain(_FILTERED, every, passes=LOW_QUALITY)
    drawn.add_plain(_UNCALLED, every, genotype=NO_CALL)
    drawn.add_plain(_HOMOZYGOUS_REFERENCE, every, genotype=0)
    drawn.add_foreign({record.change.start for record in usable})
    rest = [record for record in drawn.records if drawn.is_free(record.change.start, record.change.start + 1)]
    half = min(len(rest) // 2, 3 * quota)
    calls = sorted(drawn.calls, key=lambda call: (call.start, call.ref, call.alts))
    return Genotypes(contig, tuple(calls), tuple(rest[:half]), tuple(rest[half:]))


def _is_usable(record: Record, contig: Contig) -> bool:
    """Whether a record is a plain allele of a known consequence that a read can show, ends and unknown bases afar."""
    change = record.change
    plain = set(change.ref + change.alt) <= set("ACGT")
    anchored = len(change.ref) == len(change.alt) <= 2 or change.ref[0] == change.alt[0]
    simple = anchored and (len(change.ref) == len(change.alt) or 1 in (len(change.ref), len(change.alt)))
    left, right = contig.unknown or (0, 0)
    known = right + _END <= change.start or change.start + _END <= left
    return (
        plain
        and simple
        and record.consequence is not None
        and max(len(change.ref), len(change.alt)) <= _LONGEST
        and _END <= change.start <= len(contig.sequence) - _END
        and known
    )


class _Draw:
    """The calls so far; none overlaps another."""

    def __init__(self, contig: Contig, records: Sequence[Record], rng: np.random.Generator) -> None:
        self.records = records
        self.calls: list[Call] = []
        self.ploidy = 1 if contig.name == MITOCHONDRION else 2
        self._sequence = contig.sequence
        self._taken = np.zeros(len(contig.sequence), bool)
        self._rng = rng

    def is_free(self, start: int, end: int) -> bool:
        """Whether no call is near."""
        return not self._taken[start - _APART : end + _APART].any()

    def add_two_alleles(self) -> None:
        """Two records of two alleles that ClinVar has both: the person has both, or the second."""
        by_place: dict[int, list[Record]] = defaultdict(list)
        for record in self.records:
            if len(record.change.ref) == len(record.change.alt) == 1:
                by_place[record.change.start].append(record)
        pairs = [tuple(found[:2]) for found in by_place.values() if len(found) > 1]
        for pair, genotype in zip(pairs, ((1, 2), (0, 2)), strict=False):
            change = pair[0].change
            self._add(Call(change.start, change.ref, tuple(one.change.alt for one in pair), genotype, pair))

    def add_padded(self) -> None:
        """One record whose second allele, a deletion, makes the first, a substitution, longer than it is."""
        for record in self.records:
            change = record.change
            following = self._sequence[change.start + 1]
            longer = change.ref + following
            alts = (change.alt + following, change.ref)
            free = self.is_free(change.start, change.start + 2)
            if len(change.ref) == len(change.alt) == 1 and following != change.ref and free:
                self._add(Call(change.start, longer, alts, (1, 2), (record, None)))
                return

    def add_plain(
        self, count: int, terms: Sequence[str], *, passes: str = PASS, genotype: int | None = None
    ) -> None:
        """Calls of one allele that ClinVar has, with a drawn genotype or the stated number on both haplotypes."""
        for record in self.records:
            change = record.change
            if (
                count
                and record.consequence in terms
                and self.is_free(change.start, change.start + len(change.ref))
            ):
                alleles = self._drawn_genotype() if genotype is None else (genotype,) * self.ploidy
                self._add(Call(change.start, change.ref, (change.alt,), alleles, (record,), passes))
                count -= 1

    def add_foreign(self, known: set[int]) -> None:
        """Calls of alleles that ClinVar does not have, near those that it has."""
        wanted = len(self.calls) + _FOREIGN
        for call in list(self.calls):
            start = call.start + int(self._rng.integers(-_NEAR, _NEAR))
            if len(self.calls) < wanted and start not in known and self.is_free(start, start + 1):
                change = substitutions(self._sequence, start)[int(self._rng.integers(3))]
                self._add(Call(start, change.ref, (change.alt,), self._drawn_genotype(), (None,)))

    def _add(self, call: Call) -> None:
        self.calls.append(call)
        self._taken[call.start : call.start + len(call.ref)] = True

    def _drawn_genotype(self) -> tuple[int, ...]:
        if self.ploidy == 1 or self._rng.random() < _HOMOZYGOUS:
            return (1,) * self.ploidy
        first = int(self._rng.integers(2))
        return (first, 1 - first)
