"""What a change does to a gene, worked out from the gene model by translating the changed sequence."""

from __future__ import annotations

from dataclasses import dataclass

from glm_assets.demo.changes import Change
from glm_assets.demo.genes import Gene, Interval

# Terms of ClinVar's MC field and their Sequence Ontology ids.
SEQUENCE_ONTOLOGY = {
    "nonsense": "SO:0001587",
    "frameshift_variant": "SO:0001589",
    "splice_donor_variant": "SO:0001575",
    "splice_acceptor_variant": "SO:0001574",
    "missense_variant": "SO:0001583",
    "initiator_codon_variant": "SO:0001582",
    "stop_lost": "SO:0001578",
    "synonymous_variant": "SO:0001819",
    "intron_variant": "SO:0001627",
    "inframe_deletion": "SO:0001822",
    "inframe_insertion": "SO:0001821",
    "no_sequence_alteration": "SO:0002073",
}

# Bases of an intron next to an exon in which splicing may suffer in ways that the model does not know.
SPLICE_REGION = 20

_BREAKING = frozenset({"nonsense", "frameshift_variant", "splice_donor_variant", "splice_acceptor_variant"})
_SPARING = frozenset({"synonymous_variant", "intron_variant", "inframe_deletion", "inframe_insertion"})


@dataclass(frozen=True)
class Effect:
    """A change of a gene and its consequence, a term of `SEQUENCE_ONTOLOGY`."""

    change: Change
    gene: Gene
    consequence: str

    @property
    def label(self) -> int:
        """1 where the consequence breaks the gene, else 0."""
        return int(self.consequence in _BREAKING)


def plain_effect(change: Change, gene: Gene, contig: str) -> Effect | None:
    """The effect of a change that clearly breaks or spares the gene; None for all between.

    Between are missense and start changes, changes across the border of an exon, and those in an intron near one.
    """
    term = consequence_of(change, gene, contig)
    if term is None or term not in _BREAKING | _SPARING:
        return None
    if term == "intron_variant" and _distance_to_exon(change, gene) < SPLICE_REGION:
        return None
    return Effect(change, gene, term)


def consequence_of(change: Change, gene: Gene, contig: str) -> str | None:
    """The term of `SEQUENCE_ONTOLOGY` for a change of one plain ALT.

    Args:
        change: Bases A, C, G, T only.
        gene: The gene to look at.
        contig: The unchanged contig of the gene.

    Returns:
        The term; None when the change lies outside the gene or across the border of an exon.
    """
    replaced = change.without_anchor()
    start, end = replaced.start, replaced.start + len(replaced.ref)
    sites = gene.splice_sites()
    for position in range(start, end):
        if position in sites:
            return sites[position]
    if any(_holds(intron, start, end) for intron in gene.introns):
        return "intron_variant"
    if not any(_holds(exon, start, end) for exon in gene.exons):
        return None
    if change.length_change % 3:
        return "frameshift_variant"
    return _effect_on_protein(change, gene, contig)


def changed_coding_sequence(change: Change, gene: Gene, contig: str) -> str:
    """The coding sequence, start to stop, when the change lies inside one exon."""
    replaced = change.without_anchor()
    exons = []
    for start, end in gene.exons:
        exon = contig[start:end]
        if start <= replaced.start < end:
            exon = Change(replaced.start - start, replaced.ref, replaced.alt).applied_to(exon)
        exons.append(exon)
    return gene.sense("".join(exons))


def _distance_to_exon(change: Change, gene: Gene) -> int:
    """Bases between a change in an intron and the nearest exon."""
    end = change.start + len(change.ref)
    return min(max(left - end, change.start - right) for left, right in gene.exons)


def _holds(interval: Interval, start: int, end: int) -> bool:
    """Whether the changed bases lie inside; an insertion at the border belongs to neither side."""
    left, right = interval
    return left < start < right if start == end else left <= start and end <= right


def _effect_on_protein(change: Change, gene: Gene, contig: str) -> str:
    before = gene.code.translate(gene.coding_sequence(contig))
    after = gene.code.translate(changed_coding_sequence(change, gene, contig))
    expected_length = len(before) + change.length_change // 3
    if after == before:
        return "synonymous_variant"
    if not after.startswith("M"):
        return "initiator_codon_variant"
    if not after.endswith("*"):
        return "stop_lost"
    if len(after) < expected_length:
        return "nonsense"
    if change.length_change:
        return "inframe_deletion" if change.length_change < 0 else "inframe_insertion"
    return "missense_variant"
