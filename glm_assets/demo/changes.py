"""A change of the sequence as a VCF writes it, and its name in HGVS and in ClinVar's CLNVC."""

from __future__ import annotations

from dataclasses import dataclass

from glm_assets.genome.contigs import chromosome_key


@dataclass(frozen=True, order=True)
class Change:
    """REF to ALT at a place.

    Attributes:
        start: 0-based position of the first base of `ref`.
        ref: Bases of the genome, upper case.
        alt: Bases that replace them; `.` for no change, two alleles joined by a comma, or IUPAC letters are
            allowed, because ClinVar's files have them.
    """

    start: int
    ref: str
    alt: str

    @property
    def pos(self) -> int:
        """The 1-based position of the VCF."""
        return self.start + 1

    @property
    def length_change(self) -> int:
        """Bases gained (positive) or lost (negative)."""
        return len(self.alt) - len(self.ref)

    def without_anchor(self) -> Change:
        """The change without the unchanged base that a VCF puts before an insertion or deletion."""
        if self.length_change and self.ref[0] == self.alt[0]:
            return Change(self.start + 1, self.ref[1:], self.alt[1:])
        return self

    def applied_to(self, sequence: str) -> str:
        """`sequence` with the change made."""
        return sequence[: self.start] + self.alt + sequence[self.start + len(self.ref) :]


def substitutions(contig: str, position: int) -> list[Change]:
    """The three single-base changes at a position."""
    ref = contig[position]
    return [Change(position, ref, alt) for alt in "ACGT" if alt != ref]


def deletion(contig: str, start: int, length: int) -> Change:
    """Remove `length` bases from `start`, moved as far left as the sequence allows, with the base before it."""
    while contig[start - 1] == contig[start + length - 1]:
        start -= 1
    return Change(start - 1, contig[start - 1 : start + length], contig[start - 1])


def insertion(contig: str, start: int, bases: str) -> Change:
    """Put `bases` before `start`, moved as far left as the sequence allows, with the base before it."""
    while contig[start - 1] == bases[-1]:
        bases = bases[-1] + bases[:-1]
        start -= 1
    return Change(start - 1, contig[start - 1], contig[start - 1] + bases)


def hgvs(change: Change, accession: str, contig: str) -> str:
    """HGVS expression as ClinVar spells it; insertions and deletions are moved as far right as they go."""
    kind = "m" if chromosome_key(accession) == "MT" else "g"
    return f"{accession}:{kind}.{_description(change, contig)}"


def variant_class(change: Change, contig: str) -> tuple[str, str]:
    """CLNVC and the Sequence Ontology id of CLNVCSO."""
    if len(change.ref) == 1 and len(change.alt.split(",")[0]) == 1:
        return "single_nucleotide_variant", "SO:0001483"
    description = _description(change, contig)
    if "delins" in description:
        return "Indel", "SO:1000032"
    if description.endswith("dup"):
        return "Duplication", "SO:1000035"
    return ("Insertion", "SO:0000667") if "ins" in description else ("Deletion", "SO:0000159")


def _description(change: Change, contig: str) -> str:
    ref, alt, first = change.ref, change.alt.split(",")[0], change.start
    if alt == ".":
        return f"{change.pos}%3D"
    if len(ref) == len(alt) == 1:
        return f"{change.pos}{ref}>{alt}"
    if len(alt) == 1 and ref[0] == alt:
        return _deletion_name(first + 1, len(ref) - 1, contig)
    if len(ref) == 1 and alt[0] == ref:
        return _insertion_name(first + 1, alt[1:], contig)
    return f"{_span(first, len(ref))}delins{alt}"


def _deletion_name(start: int, length: int, contig: str) -> str:
    while start + length < len(contig) and contig[start] == contig[start + length]:
        start += 1
    return f"{_span(start, length)}del"


def _insertion_name(start: int, bases: str, contig: str) -> str:
    while start < len(contig) and contig[start] == bases[0]:
        bases = bases[1:] + bases[0]
        start += 1
    if contig[start - len(bases) : start] == bases:
        return f"{_span(start - len(bases), len(bases))}dup"
    return f"{start}_{start + 1}ins{bases}"


def _span(start: int, length: int) -> str:
    """1-based, inclusive."""
    return f"{start + 1}" if length == 1 else f"{start + 1}_{start + length}"
