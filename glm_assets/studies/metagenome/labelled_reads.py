"""Bringing the labelled reads and their splits up to date."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from glm_assets.evaluation.class_count_figures import plot_class_counts, plot_read_lengths
from glm_assets.evaluation.figures import save_figure
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_metagenome import SPLITS
from glm_assets.storage.tables import PART, read_part
from glm_assets.studies.metagenome.label_map import read_label_map
from glm_assets.studies.metagenome.leaks import leaking_reads
from glm_assets.studies.metagenome.reading import write_reads
from glm_assets.studies.metagenome.splitting import split_figures, split_genomes
from glm_assets.studies.metagenome.study import MetagenomeStudy


def make_reads(study: MetagenomeStudy) -> Manifest:
    """Parse the labelled reads.

    Raises:
        FormatError: A file is damaged, or a read breaks a strict rule.
        SettingsError: A file does not exist.
    """

    def build(work: Path) -> Facts:
        counts = write_reads(study.files, read_label_map(study.mapping), study.values.reads, work / PART)
        about = pl.read_parquet(work / PART, columns=["label", "length"])
        save_figure(plot_read_lengths(about["label"], about["length"]), work / "lengths.png")
        return {**counts.metadata(), "rows": counts.kept}

    return study.reads().make(build)


def make_splits(study: MetagenomeStudy) -> Manifest:
    """Divide the reads by their source genomes, and look for sequence that the sides share.

    Raises:
        FormatError: Files put one genome on two sides.
    """

    def build(work: Path) -> Facts:
        folder, settings = study.reads().files(), study.values.split
        reads = read_part(folder, ["read", "genome", "label", "label_index", "file_split"])
        split = split_genomes(reads, settings)
        leaks = leaking_reads(folder / PART, split.frame["split"], settings.leak_kmer)
        table = split.frame.with_columns(leaks)
        SPLITS.write(table, work / PART)
        figures = split_figures(table.with_columns(reads["label"]))
        save_figure(plot_class_counts(figures), work / "splits.png")
        held_out = table.filter(pl.col("split") != "train")
        genomes = table.group_by("genome").agg(pl.col("split").n_unique())
        return {
            "rows": table.height,
            "reads": dict(table["split"].value_counts().sort("split").iter_rows()),
            "genomes": {
                name: table.filter(pl.col("split") == name)["genome"].n_unique()
                for name in ("train", "val", "test")
            },
            "genomes_on_two_sides": genomes.filter(pl.col("split") > 1).height,
            "leaking_reads": int(held_out["leaks"].sum()),
            "leak_share": held_out["leaks"].sum() / max(1, held_out.height),
            "max_leak": settings.max_leak,
            "warnings": list(split.warnings),
        }

    return study.splits().make(build)
