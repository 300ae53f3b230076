"""Bringing a variety's annotation up to date."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from glm_assets.sources.annotation import read_annotation
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_sugarcane import ANNOTATION, OUTER
from glm_assets.storage.tables import PART, read_part
from glm_assets.studies.sugarcane.study import SugarcaneStudy


def contig_lengths(study: SugarcaneStudy, variety: str) -> dict[str, int]:
    """Bases of each contig of a variety's genome, in the order of its file."""
    return dict(read_part(study.files("genome", variety), ["contig", "length"]).iter_rows())


def make_annotation(study: SugarcaneStudy, variety: str, progress: Callable[[str], None]) -> Manifest:
    """Read the GFF3 of a variety, and check it against the genome.

    Raises:
        FormatError: It is no GFF3, or a line of it is wrong.
        ReferenceMismatchError: A feature lies outside the genome.
        SettingsError: It does not exist, there is no such variety, or gffutils is not installed.
        IntegrityError: It is damaged.
        MissingUpstreamError: The genome is absent or out of date.
    """

    def build(work: Path) -> Facts:
        found = read_annotation(study.gff3(variety), contig_lengths(study, variety), progress)
        ANNOTATION.write(found.features.select(pl.lit(variety).alias(OUTER), pl.all()), work / PART)
        genes = found.features.filter(pl.col("type") == "gene")
        return {
            "rows": found.features.height,
            "genes": genes.height,
            "contigs_with_genes": genes["contig"].n_unique(),
            "types": dict(
                found.features["type"].value_counts().sort("count", "type", descending=True).iter_rows()
            ),
            "without_gene": int(found.features["gene_id"].null_count()),
            "without_parent": found.without_parent,
            "regions_left_out": found.regions,
            "across_origin_left_out": found.across_origin,
        }

    return study.annotation(variety).make(build)
