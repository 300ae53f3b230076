"""From the release to windows: labelled variants, windows, and the audit of their splits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from glm_assets.errors import SubmissionError
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.variant_figures import (
    plot_leakage,
    plot_overlap,
    plot_seen_sequences,
    plot_variant_counts,
    plot_window_density,
)
from glm_assets.genome.fasta import ReferenceGenome
from glm_assets.genome.splits import SPLITS, SplitRule
from glm_assets.lineage.release_plausibility import require_plausible
from glm_assets.lineage.source_catalogue import RECORDS_FILE
from glm_assets.lineage.splits import split_partner, split_rule
from glm_assets.lineage.study import Study
from glm_assets.sources.reference import FASTA
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas import CLINVAR_VARIANTS, SPLIT_AUDIT, VARIANT_WINDOWS
from glm_assets.storage.tables import PART, read_part
from glm_assets.submission.sequences import read_test_sequences
from glm_assets.variants.labels import LabelPolicy
from glm_assets.variants.leakage import AUDITED_COLUMNS, TOTAL, audit_splits, measure_leakage
from glm_assets.variants.seen_sequences import SEEN_SHARE, seen_shares
from glm_assets.variants.splitting import count_labelled_since, read_earlier
from glm_assets.variants.variants import build_variants
from glm_assets.variants.windows import build_variant_windows

_SEQUENCE_COLUMNS = ["split", "ref_digest", "ref_seq", "var_seq"]


def make_clinvar_variants(study: Study, chrom: str) -> Manifest:
    """Filter and label the alternate alleles of one chromosome.

    Raises:
        ImplausibleReleaseError: The release lost too many rows: nothing downstream may be made from it.
    """
    require_plausible(study)
    labels = study.profile.labels
    product = study.clinvar_variants(chrom)

    def build(work: Path) -> Facts:
        variants, counts = build_variants(
            study.files(study.release_folder) / RECORDS_FILE,
            chrom,
            policy=_policy(study),
            indel_max=labels.indel_max,
        )
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

    def build(work: Path) -> Facts:
        variants = read_part(study.clinvar_variants(chrom).files())
        genome = ReferenceGenome(study.files(study.reference_folder) / FASTA)
        earlier = _earlier_alleles(study, chrom)
        windows, counts = build_variant_windows(
            variants,
            genome.sequence(chrom),
            genome.fasta_name(chrom),
            study.profile.windows.recipe(),
            split_rule(study.profile),
            partner=_partner_windows(study, genome, chrom),
            earlier=earlier,
        )
        VARIANT_WINDOWS.write(windows, work / PART)
        save_figure(plot_window_density(windows), work / "windows.png")
        return {
            "rows": windows.height,
            "labelled_variants": counts.rows,
            "dropped": counts.dropped,
            "distinct_reference_windows": counts.distinct_ref_windows,
            "loci": windows["locus"].n_unique(),
            "splits": dict(windows["split"].value_counts().iter_rows()),
            "largest_split_group": counts.largest_group or None,
            "largest_split_group_share": counts.largest_group_share,
            "reference_compared": counts.compared,
            "reference_mismatches": counts.mismatches,
            "reference_mismatch_share": counts.mismatch_share,
            "labelled_since": None if earlier is None else _labelled_since(study, windows, earlier, chrom),
        }

    return product.make(build)


def _partner_windows(study: Study, genome: ReferenceGenome, chrom: str) -> pl.DataFrame | None:
    """Windows of the chromosome that is split together with this one, made from the release."""
    partner = split_partner(study, chrom)
    if partner is None:
        return None
    records, labels = study.files(study.release_folder) / RECORDS_FILE, study.profile.labels
    variants, _ = build_variants(records, partner, policy=_policy(study), indel_max=labels.indel_max)
    recipe, name = study.profile.windows.recipe(), genome.fasta_name(partner)
    return build_variant_windows(variants, genome.sequence(partner), name, recipe, SplitRule())[0]


def _earlier_alleles(study: Study, chrom: str) -> pl.DataFrame | None:
    """What the release to train on has on a chromosome; only the rule `temporal` asks."""
    if study.profile.split.rule != "temporal":
        return None
    return read_earlier(_earlier_records(study), chrom)


def _labelled_since(study: Study, windows: pl.DataFrame, earlier: pl.DataFrame, chrom: str) -> int:
    """Rows that the release to train on has without a label of this study's policy."""
    labels = study.profile.labels
    variants, _ = build_variants(_earlier_records(study), chrom, policy=_policy(study), indel_max=labels.indel_max)
    return count_labelled_since(windows, earlier, variants.filter("keep"))


def _earlier_records(study: Study) -> Path:
    return study.files(study.records_folder(study.train_release().inputs["date"])) / RECORDS_FILE


def make_split_audit(study: Study) -> Manifest:
    """Measure over all chromosomes what the held-out rows, and the test CSV, share with train."""
    product = study.split_audit()

    def build(work: Path) -> Facts:
        folders = [study.variant_windows(chrom).files() for chrom in study.profile.chromosomes]
        windows = pl.concat([read_part(folder, AUDITED_COLUMNS) for folder in folders])
        if study.profile.split.merge_test_into_train:
            windows = windows.with_columns(pl.col("split").replace("test", "train"))
        leakage = measure_leakage(windows)
        audit = audit_splits(leakage)
        SPLIT_AUDIT.write(audit, work / PART)
        save_figure(plot_overlap(leakage), work / "overlap.png")
        save_figure(plot_leakage(leakage), work / "leakage.png")
        total = audit.filter(pl.col("chrom") == TOTAL)
        return {
            "rows": audit.height,
            "splits": {split: windows.filter(split=split).height for split in SPLITS},
            "held_out_rows": leakage.height,
            "overlapping_rows": int(total["overlapping_rows"].sum()),
            "overlapping_share": dict(total.select("split", "overlapping_share").iter_rows()),
            "shared_gene_rows": int(total["shared_gene_rows"].sum()),
            "shared_gene_share": dict(total.select("split", "shared_gene_share").iter_rows()),
            "duplicate_ref_rows": int(total["duplicate_ref_rows"].sum()),
            "duplicate_var_rows": int(total["duplicate_var_rows"].sum()),
            "duplicate_pair_rows": int(total["duplicate_pair_rows"].sum()),
            **_audit_test_sequences(study, work),
        }

    return product.make(build)


def _audit_test_sequences(study: Study, work: Path) -> Facts:
    """How much of the test CSV lies in windows of train; without a CSV the reason why nothing was measured."""
    try:
        sequences, _ = read_test_sequences(study.test_csv(), max_length=study.profile.submission.max_length)
    except SubmissionError as error:
        return {"test_sequences_absent": error.problem}
    shares = seen_shares(sequences["seq"], _train_windows(study))
    save_figure(plot_seen_sequences(shares, SEEN_SHARE), work / "seen_sequences.png")
    judged = shares[~np.isnan(shares)]
    seen = int((judged >= SEEN_SHARE).sum())
    return {
        "test_sequences": sequences.height,
        "test_sequences_judged": judged.size,
        "test_sequences_seen": seen,
        "test_sequences_seen_share": seen / max(1, judged.size),
    }


def _train_windows(study: Study) -> Iterator[pl.Series]:
    """The different reference windows and the variant windows of train, a chromosome at a time."""
    trained = ["train", "test"] if study.profile.split.merge_test_into_train else ["train"]
    for chrom in study.profile.chromosomes:
        windows = read_part(study.variant_windows(chrom).files(), _SEQUENCE_COLUMNS)
        rows = windows.filter(pl.col("split").is_in(trained))
        yield rows.unique("ref_digest", maintain_order=True)["ref_seq"]
        yield rows["var_seq"]


def _policy(study: Study) -> LabelPolicy:
    return LabelPolicy(study.profile.labels.policy, study.profile.labels.min_stars)


def _count(classes: pl.DataFrame, label: int) -> int:
    return int(classes.filter(pl.col("label") == label)["count"].sum())
