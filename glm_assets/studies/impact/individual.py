"""Bringing up to date what is known of the person: how the reads look, and which variants they have."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from glm_assets.evaluation.figures import save_figure
from glm_assets.lineage.source_catalogue import RECORDS_FILE
from glm_assets.sources.alignment_summary import alignment_summary
from glm_assets.sources.alignments import Alignments, open_alignments
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_impact import ALIGNMENT_SUMMARY, INDIVIDUAL_VARIANTS
from glm_assets.storage.tables import PART
from glm_assets.studies.impact.carried import individual_variants
from glm_assets.studies.impact.facts import by_value, split_counts
from glm_assets.studies.impact.figures import plot_alignments, plot_impacts
from glm_assets.studies.impact.study import ImpactStudy

INDEX_FOLDER = ".indexes"

Progress = Callable[[str], None]


def open_reads(study: ImpactStudy) -> Alignments:
    """Open the person's reads; an index that is missing is made in the data root."""
    folder = study.main.root / "studies" / "impact" / study.individual / INDEX_FOLDER
    return open_alignments(study.files.alignments, index_folder=folder, reference=study.alignments_reference)


def make_individual_alignments(study: ImpactStudy, chrom: str) -> Manifest:
    """Count the person's reads of a chromosome.

    Raises:
        ReferenceMismatchError: The reads lack the chromosome.
        SettingsError: The file does not exist.
    """
    product = study.individual_alignments(chrom)

    def build(work: Path) -> Facts:
        with open_reads(study) as alignments:
            summary = alignment_summary(alignments, chrom, study.individual)
            contig, length = alignments.contig(chrom), alignments.length(chrom)
        ALIGNMENT_SUMMARY.write(summary, work / PART)
        save_figure(plot_alignments(summary, f"{study.individual}, chromosome {chrom}"), work / "reads.png")
        plain = summary.filter(pl.col("value").is_null())
        return {
            "rows": summary.height,
            "file": study.files.alignments.name,
            "contig": contig,
            "contig_length": length,
            "counts": dict(plain.select("figure", "reads").iter_rows()),
        }

    return product.make(build)


def make_individual_variants(study: ImpactStudy, chrom: str, progress: Progress) -> Manifest:
    """Join ClinVar's alleles of a chromosome with what the person carries.

    Raises:
        SettingsError: The VCF does not exist, or lacks the person.
    """
    product = study.individual_variants(chrom)

    def build(work: Path) -> Facts:
        main, values, vcf = study.main, study.values, study.files.variants
        records = main.files(main.release_folder) / RECORDS_FILE
        found = pl.scan_parquet(records, glob=False).filter(pl.col("chrom") == chrom).collect()
        progress(f"{found.height:,} ClinVar records, {'a VCF' if vcf else 'reads alone'} of {study.individual}")
        reads = nullcontext() if vcf else open_reads(study)
        with TemporaryDirectory(prefix=".scratch-", dir=work) as scratch, reads as alignments:
            table, counts = individual_variants(
                found,
                individual=study.individual,
                chrom=chrom,
                carried=values.carried,
                consequences=values.consequences,
                vcf=vcf,
                alignments=alignments,
                reads=values.reads,
                work=Path(scratch),
            )
        INDIVIDUAL_VARIANTS.write(table, work / PART)
        title = f"{study.individual}, chromosome {chrom}: alleles of ClinVar"
        save_figure(plot_impacts(table, "carried", title), work / "impacts.png")
        plain, grouped = split_counts(counts)
        return {
            "rows": table.height,
            "carried": int(table["carried"].sum()),
            "carried_by_impact": by_value(table.filter("carried")["impact"]),
            "alleles_by_impact": by_value(table["impact"]),
            "excluded": grouped.get("excluded", {}),
            "unknown_terms": grouped.get("unknown", {}),
            "records_with_unknown_terms": table.filter(
                pl.col("mc").is_not_null() & pl.col("impact").is_null()
            ).height,
            "records_with_terms": table["mc"].count(),
            "from": "VCF" if vcf else "reads",
            "counts": plain,
        }

    return product.make(build)
