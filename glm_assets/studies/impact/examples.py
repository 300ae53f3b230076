"""Bringing the examples up to date: reads that show variants, their impact, group and split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from glm_assets.evaluation.figures import save_figure
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_impact import READ_EXAMPLES
from glm_assets.storage.tables import PART, read_part
from glm_assets.studies.impact.facts import by_value, split_counts
from glm_assets.studies.impact.figures import plot_mapping, plot_targets
from glm_assets.studies.impact.individual import open_reads
from glm_assets.studies.impact.reads import read_examples
from glm_assets.studies.impact.splitting import leaks, split_examples
from glm_assets.studies.impact.study import ImpactStudy

Progress = Callable[[str], None]


def make_read_examples(study: ImpactStudy, chrom: str, progress: Progress) -> Manifest:
    """Choose the reads of a chromosome's variants, and split them.

    Raises:
        MissingUpstreamError: Variants or reads are absent or out of date.
    """
    product = study.read_examples(chrom)

    def build(work: Path) -> Facts:
        values = study.values
        variants = read_part(study.individual_variants(chrom).files())
        with open_reads(study) as alignments:
            chosen, counts = read_examples(variants, alignments, values.reads, chrom=chrom)
        examples = split_examples(chosen, values.split, chrom=chrom, length=values.reads.length)
        READ_EXAMPLES.write(examples, work / PART)
        variants_shown = examples.select("pos", "ref", "alt").unique().height
        progress(f"{examples.height:,} examples of {variants_shown:,} variants")
        title = f"{study.individual}, chromosome {chrom}: examples"
        save_figure(plot_targets(examples, title), work / "examples.png")
        save_figure(plot_mapping(examples, title), work / "mapping.png")
        plain, grouped = split_counts(counts)
        return {
            "rows": examples.height,
            "variants": variants_shown,
            "splits": by_value(examples["split"]),
            "impacts": by_value(examples["impact"]),
            "targets": by_value(examples["target"]),
            "alleles": by_value(examples["allele_in_read"]),
            "strands": by_value(examples["strand"]),
            "groups": examples["group"].n_unique(),
            "distinct_sequences": examples["sequence_digest"].n_unique(),
            "dropped": grouped.get("dropped", {}),
            "dropped_reads": grouped.get("dropped_reads", {}),
            "counts": plain,
            "known_allele_share": _known_share(counts),
            "in_several_splits": leaks(examples),
            **_alleles_shown(examples),
        }

    return product.make(build)


def _known_share(counts: Mapping[str, int]) -> float:
    """Share of the reads over variants that show REF or ALT; 1 where no read was compared."""
    seen = counts.get("sightings", 0)
    return 1 - counts.get("dropped:other_allele", 0) / seen if seen else 1.0


def _alleles_shown(examples: pl.DataFrame) -> Facts:
    """Whether examples show what they are said to show: the allele at the variant's place in their sequence."""
    placed = examples.filter(
        pl.col("variant_offset") >= 0, pl.col("allele_in_read").is_in(["reference", "alternate"])
    )
    allele = pl.when(pl.col("allele_in_read") == "alternate").then("alt").otherwise("ref")
    # A read may end within a long allele.
    shown = placed.select(
        there=pl.col("sequence").str.slice(pl.col("variant_offset"), allele.str.len_bytes()), allele=allele
    ).filter(pl.col("there").str.len_bytes() == pl.col("allele").str.len_bytes())
    agree = shown.filter(pl.col("there") == pl.col("allele")).height
    return {
        "alleles_compared": shown.height,
        "allele_agreement": agree / shown.height if shown.height else 1.0,
    }
