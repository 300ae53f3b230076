"""Places in a gene where several changes meet, as ClinVar has them: one position, one window, many alleles.

Each function draws one random place and returns the changes there that break or spare the gene, maybe none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from glm_assets.demo.changes import Change, deletion, insertion, substitutions
from glm_assets.demo.consequences import SPLICE_REGION, Effect, consequence_of, plain_effect
from glm_assets.demo.genes import Gene

_EXON_BORDER = 15  # bases that an indel keeps from the exon's ends
# An indel that has moved left out of its exon is given up: its place no longer tells what it does.
_INSIDE_AN_EXON = frozenset({"nonsense", "frameshift_variant", "inframe_deletion", "inframe_insertion"})
_FRAMESHIFTS = (1, 1, 1, 2, 2, 4, 5, 7, 8, 10, 11, 17, 23, 34, 47)
_IN_FRAME = (3, 3, 3, 6, 6, 9, 12, 18, 30, 48)
_INTRON_INDELS = (1, 2, 3, 4)
_SEARCH = 100  # bases looked at for one that is rare

Site = Callable[[Gene, str, np.random.Generator], list[Effect]]


def stop_site(gene: Gene, contig: str, rng: np.random.Generator) -> list[Effect]:
    """A coding base one change away from a stop codon, with its synonymous changes."""
    for _ in range(_SEARCH):
        effects = _effects(substitutions(contig, _coding_position(gene, rng)), gene, contig)
        if any(effect.consequence == "nonsense" for effect in effects):
            return effects
    return []


def silent_site(gene: Gene, contig: str, rng: np.random.Generator) -> list[Effect]:
    """A coding base with at least two synonymous changes."""
    for _ in range(_SEARCH):
        effects = _effects(substitutions(contig, _coding_position(gene, rng)), gene, contig)
        silent = [effect for effect in effects if effect.consequence == "synonymous_variant"]
        if len(silent) > 1:
            return silent
    return []


def frame_site(gene: Gene, contig: str, rng: np.random.Generator) -> list[Effect]:
    """A place in an exon where bases go or come, in frame and out of frame."""
    start, end = gene.exons[int(rng.integers(len(gene.exons)))]
    place = int(rng.integers(start + _EXON_BORDER, end - _EXON_BORDER))
    lengths = [int(rng.choice(_FRAMESHIFTS)), int(rng.choice(_IN_FRAME))]
    gained = lengths[int(rng.integers(2))]
    changes = [deletion(contig, place, lost) for lost in lengths if place + lost < end - 1]
    changes.append(insertion(contig, place, _new_bases(contig, place, gained, rng)))
    return [effect for effect in _effects(changes, gene, contig) if effect.consequence in _INSIDE_AN_EXON]


def splice_site(gene: Gene, contig: str, rng: np.random.Generator) -> list[Effect]:
    """One of the two intron bases next to an exon."""
    sites = sorted(gene.splice_sites())
    return _effects(substitutions(contig, int(rng.choice(sites))), gene, contig) if sites else []


def intron_site(gene: Gene, contig: str, rng: np.random.Generator) -> list[Effect]:
    """A place deep in an intron: two single-base changes and at times a small deletion."""
    if not gene.introns:
        return []
    start, end = gene.introns[int(rng.integers(len(gene.introns)))]
    place = int(rng.integers(start + SPLICE_REGION, end - SPLICE_REGION))
    changes = substitutions(contig, place)[:2]
    if rng.random() < 0.4:
        changes.append(deletion(contig, place + 1, int(rng.choice(_INTRON_INDELS))))
    return _effects(changes, gene, contig)


def missense_site(gene: Gene, contig: str, rng: np.random.Generator) -> list[Effect]:
    """A substitution that replaces one amino acid by another, which nobody can judge."""
    change = substitutions(contig, _coding_position(gene, rng))[int(rng.integers(3))]
    is_missense = consequence_of(change, gene, contig) == "missense_variant"
    return [Effect(change, gene, "missense_variant")] if is_missense else []


# Sites with how often each is drawn; together about four of ten alleles break the gene.
SITES: tuple[tuple[Site, float], ...] = (
    (stop_site, 0.24),
    (frame_site, 0.24),
    (splice_site, 0.10),
    (silent_site, 0.22),
    (intron_site, 0.20),
)

# Where to look for a change of a given consequence.
SITE_OF: dict[str, Site] = {
    "nonsense": stop_site,
    "synonymous_variant": silent_site,
    "missense_variant": missense_site,
}


def _effects(changes: list[Change], gene: Gene, contig: str) -> list[Effect]:
    return [effect for change in changes if (effect := plain_effect(change, gene, contig))]


def _coding_position(gene: Gene, rng: np.random.Generator) -> int:
    start, end = gene.exons[int(rng.integers(len(gene.exons)))]
    return int(rng.integers(start, end))


def _new_bases(contig: str, place: int, length: int, rng: np.random.Generator) -> str:
    """A copy of the bases before `place` (a duplication) or random ones."""
    if rng.random() < 0.6:
        return contig[place - length : place]
    return "".join(rng.choice(list("ACGT"), size=length))
