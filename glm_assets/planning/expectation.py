"""How many variants a chromosome will have once its windows are made, by what is known so far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from glm_assets.demo.recipe import DEFAULT_RECIPE
from glm_assets.errors import GlmError
from glm_assets.genome.contigs import CHROMOSOMES
from glm_assets.lineage.study import Study
from glm_assets.planning.staleness import Offer
from glm_assets.storage.products import Manifest
from glm_assets.storage.tables import table_folder

PAIRS_OF_CLINVAR: Final = 1_500_000
"""Labelled variants of all chromosomes, about, at the end of 2025."""

LABELLED_SHARE: Final = 0.38
"""Of ClinVar's records, those that a label policy keeps, about."""

WEEKLY_GROWTH: Final = 0.003
"""New records a week as a share of those that are there: 0.8 million grew to 3.9 million in 257 weeks."""

REFERENCE_SHARE: Final = 0.6
"""Different reference windows a pair where nothing is known: several alternate alleles share a position."""

GRID_REFERENCE_SHARE: Final = 0.1
"""The same for windows on a grid, each of which serves every variant in it: 0.016 on BRCA2, more where genes are
less studied."""

# Protein-coding genes of each chromosome, which records follow more closely than bases.
_GENE_COUNTS: Final = (
    *(2058, 1309, 1078, 752, 876, 1048, 989, 677, 786, 733, 1298, 1034, 327, 830, 613, 873, 1197, 270, 1472),
    *(544, 234, 488, 842, 71, 13),
)
_GENES: Final = dict(zip(CHROMOSOMES, _GENE_COUNTS, strict=True))


@dataclass(frozen=True)
class Expected:
    """What a chromosome is expected to have.

    Attributes:
        rows: Variants with windows.
        basis: What that follows from, for people.
    """

    rows: int
    basis: str


def expected_rows(study: Study, chrom: str, offer: Offer) -> Expected:
    """How many variants of a chromosome there will be.

    Args:
        study: The main study.
        chrom: Chromosome.
        offer: A newer release makes more of what is here.
    """
    try:
        release = study.release()
    except GlmError:
        return _without_release(study, chrom)
    weeks = _weeks_ahead(release, offer)
    growth = (1 + WEEKLY_GROWTH) ** weeks
    ahead = f", and {weeks:.0f} weeks of growth" if weeks else ""
    try:
        kept = study.require(study.clinvar_variants(chrom)).facts["kept"]
        return Expected(round(kept * growth), f"labelled variants{ahead}")
    except GlmError:
        records = release.facts["chromosomes"].get(chrom, 0)
        return Expected(round(records * _labelled_share(study) * growth), f"records of the release{ahead}")


def _weeks_ahead(release: Manifest, offer: Offer) -> float:
    if not offer.release or offer.release[1] == release.inputs["md5"]:
        return 0.0
    here = datetime.strptime(release.inputs["date"], "%Y%m%d").date()
    return max(0.0, (offer.release[0].date - here).days / 7)


def _without_release(study: Study, chrom: str) -> Expected:
    if study.settings.uses_demo_tree:
        rows = {recipe.name: recipe.labelled for recipe in DEFAULT_RECIPE.chromosomes}
        return Expected(rows.get(chrom, 0), "the generated tree's recipe")
    share = _GENES[chrom] / sum(_GENES.values())
    return Expected(round(PAIRS_OF_CLINVAR * share), "ClinVar's size at the end of 2025, by genes")


def _labelled_share(study: Study) -> float:
    """Of the records, those that this study kept where it has looked."""
    counts = [
        (manifest.facts["kept"], manifest.facts["records"])
        for chrom in study.profile.chromosomes
        if (manifest := study.recorded(table_folder(study.tables, "clinvar_variants", chrom)))
    ]
    kept, records = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    return kept / records if records else LABELLED_SHARE
