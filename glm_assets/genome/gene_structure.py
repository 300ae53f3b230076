"""Genes as their exons and introns, from the features of an annotation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.genome.alphabet import reverse_complement
from glm_assets.genome.indexed_fasta import IndexedFasta

GENE_SCHEMA: Final = pl.Schema(
    {
        "gene_id": pl.String,
        "length": pl.Int64,
        "exons": pl.UInt32,
        "mean_exon": pl.Float64,
        "exon_bases": pl.Int64,
    }
)


def is_gene(kind: pl.Expr) -> pl.Expr:
    """Whether a type of feature is a gene's: `gene`, `pseudogene`, `ncRNA_gene`, `protein_coding_gene` and the like."""
    return kind.str.ends_with("gene")


def representative_transcripts(features: pl.DataFrame) -> pl.DataFrame:
    """The transcript that stands for each gene: the one that codes for most, then the one with the longest exons.

    Args:
        features: With `feature_id`, `parent`, `gene_id`, `type`, `start` and `end`, 0-based and half-open.

    Returns:
        `gene_id` and `transcript`; genes without exons have none.
    """
    parts = features.filter(pl.col("type").is_in(["exon", "CDS"]) & pl.col("parent").is_not_null())
    bases = pl.col("end") - pl.col("start")
    sizes = parts.group_by("gene_id", transcript=pl.col("parent")).agg(
        coding=bases.filter(pl.col("type") == "CDS").sum(), exonic=bases.filter(pl.col("type") == "exon").sum()
    )
    order = ["gene_id", "coding", "exonic", "transcript"]
    ranked = sizes.drop_nulls("gene_id").sort(order, descending=[False, True, True, False])
    return ranked.group_by("gene_id", maintain_order=True).first().select("gene_id", "transcript")


def gene_structures(features: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """Lengths and exons of genes, and lengths of their introns.

    Args:
        features: As for `representative_transcripts`.

    Returns:
        A row per gene that has exons, as in `GENE_SCHEMA`: bases of the gene, exons of the transcript that stands for
        it, mean bases of an exon, and bases of all; and the bases of each intron.
    """
    chosen = representative_transcripts(features)
    exons = (
        features.filter(pl.col("type") == "exon")
        .join(chosen, left_on=["gene_id", "parent"], right_on=["gene_id", "transcript"])
        .sort("gene_id", "start")
    )
    gap = (pl.col("start") - pl.col("end").shift(1).over("gene_id")).alias("intron")
    introns = exons.select(gap).to_series().drop_nulls()
    size = pl.col("end") - pl.col("start")
    structure = exons.group_by("gene_id", maintain_order=True).agg(
        exons=pl.len(), mean_exon=size.mean(), exon_bases=size.sum()
    )
    genes = features.filter(is_gene(pl.col("type"))).select("gene_id", length=pl.col("end") - pl.col("start"))
    joined = genes.unique("gene_id", maintain_order=True).join(structure, on="gene_id")
    return joined.select(GENE_SCHEMA.names()).cast(GENE_SCHEMA), introns.filter(introns > 0)


def coding_sequences(features: pl.DataFrame, genome: IndexedFasta) -> Iterator[NDArray[np.uint8]]:
    """The coding sequence of each gene's transcript, in its direction, from its first whole codon on.

    Args:
        features: As for `representative_transcripts`, with `contig`, `strand` and `phase`.
        genome: Gives the bases; a contig is read once.
    """
    chosen = representative_transcripts(features)
    parts = (
        features.filter(pl.col("type") == "CDS")
        .join(chosen, left_on=["gene_id", "parent"], right_on=["gene_id", "transcript"])
        .sort("contig", "gene_id", "start")
    )
    for (contig,), of_contig in parts.group_by("contig", maintain_order=True):
        bases = genome.fetch(str(contig))
        for _, segments in of_contig.group_by("gene_id", maintain_order=True):
            yield _joined(segments, bases)


def _joined(segments: pl.DataFrame, bases: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Segments of one transcript, by their starts, laid end to end and read along its strand."""
    places = zip(segments["start"], segments["end"], strict=True)
    joined = np.concatenate([bases[start:end] for start, end in places])
    backwards = segments["strand"][0] == "-"
    phase = segments["phase"][-1 if backwards else 0] or 0
    return (reverse_complement(joined) if backwards else joined)[phase:]
