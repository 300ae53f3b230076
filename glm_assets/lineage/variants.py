"""From the release to windows: labelled variants, windows, and the audit of their splits."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.variant_figures import plot_overlap, plot_variant_counts, plot_window_density
from glm_assets.genome.fasta import ReferenceGenome
from glm_assets.genome.splits import SplitRule
from glm_assets.lineage.study import RECORDS_FILE, Study
from glm_assets.sources.reference import FASTA
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas import CLINVAR_VARIANTS, SPLIT_AUDIT, VARIANT_WINDOWS
from glm_assets.storage.tables import PART, read_part
from glm_assets.variants.labels import LabelPolicy
from glm_assets.variants.leakage import audit_splits, measure_overlap
from glm_assets.variants.variants import build_variants
from glm_assets.variants.windows import build_variant_windows

_AUDIT_COLUMNS = ["chrom", "split", "window_start", "window_end"]


def make_clinvar_variants(study: Study, chrom: str) -> Manifest:
    """Filter and label the alternate alleles of one chromosome."""
    labels = study.profile.labels
    policy = LabelPolicy(labels.policy, labels.min_stars)
    product = study.clinvar_variants(chrom)
    records = study.release_folder / RECORDS_FILE

    def build(work: Path) -> Facts:
        variants, counts = build_variants(records, chrom, policy=policy, indel_max=labels.indel_max)
        CLINVAR_VARIANTS.write(variants, work / PART)
        save_figure(plot_variant_counts(variants), work / "variants.png")
        classes = variants.filter("keep")["label"].value_counts()
        return {
            "rows": variants.height,
            "records": counts.records,
            "kept": counts.kept,
            "pathogenic": _count(classes, 1),
            "benign": _count(classes, 0),
            "dropped": counts.dropped,
            "unknown_words": counts.unknown_words,
        }

    return product.make(build)


def make_variant_windows(study: Study, chrom: str) -> Manifest:
    """Cut and split the windows of one chromosome's labelled variants."""
    product = study.variant_windows(chrom)
    recipe = study.profile.windows.recipe()

    def build(work: Path) -> Facts:
        variants = read_part(study.clinvar_variants(chrom).folder)
        genome = ReferenceGenome(study.reference_folder / FASTA)
        contig = genome.sequence(chrom)
        rule = SplitRule(study.profile.split.rule)
        windows, counts = build_variant_windows(variants, contig, genome.fasta_name(chrom), recipe, rule)
        VARIANT_WINDOWS.write(windows, work / PART)
        save_figure(plot_window_density(windows), work / "windows.png")
        return {
            "rows": windows.height,
            "labelled_variants": counts.rows,
            "dropped": counts.dropped,
            "distinct_reference_windows": counts.distinct_ref_windows,
            "loci": windows["locus"].n_unique(),
            "splits": dict(windows["split"].value_counts().iter_rows()),
            "reference_compared": counts.compared,
            "reference_mismatches": counts.mismatches,
            "reference_mismatch_share": counts.mismatch_share,
        }

    return product.make(build)


def make_split_audit(study: Study) -> Manifest:
    """Measure over all chromosomes how far the held-out windows overlap windows of train."""
    product = study.split_audit()

    def build(work: Path) -> Facts:
        folders = [study.variant_windows(chrom).folder for chrom in study.profile.chromosomes]
        windows = pl.concat([read_part(folder, _AUDIT_COLUMNS) for folder in folders])
        if study.profile.split.merge_test_into_train:
            windows = windows.with_columns(pl.col("split").replace("test", "train"))
        overlap = measure_overlap(windows)
        audit = audit_splits(overlap)
        SPLIT_AUDIT.write(audit, work / PART)
        save_figure(plot_overlap(overlap), work / "overlap.png")
        total = audit.filter(pl.col("chrom") == "all")
        return {
            "rows": audit.height,
            "held_out_rows": overlap.height,
            "overlapping_rows": int(total["overlapping_rows"].sum()),
            "overlapping_share": {row["split"]: row["overlapping_share"] for row in total.iter_rows(named=True)},
        }

    return product.make(build)


def _count(classes: pl.DataFrame, label: int) -> int:
    return int(classes.filter(pl.col("label") == label)["count"].sum())
