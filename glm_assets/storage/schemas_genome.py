"""What tables of different studies say of a genome's contigs."""

from __future__ import annotations

import polars as pl

from glm_assets.storage.tables import Column

CONTIG_COLUMNS = (
    Column("contig", pl.String(), "name, to the first white space"),
    Column("length", pl.Int64(), "bases"),
    Column("gc", pl.Float64(), "share of G and C among A, C, G and T; null without any"),
    Column("unknown", pl.Int64(), "bases other than A, C, G and T"),
    Column("soft_masked", pl.Int64(), "lower-case bases"),
)
"""One row per contig, in the order of its file."""

FEATURE_COLUMNS = (
    Column("feature_id", pl.String(), "ID of the feature; null without one"),
    Column("parent", pl.String(), "ID of its parent, of several the one of this row; null without one"),
    Column("gene_id", pl.String(), "ID of the gene that it belongs to; null of what belongs to none"),
    Column("type", pl.String(), "gene, mRNA, exon, CDS, .., verbatim"),
    Column("contig", pl.String(), "contig of the genome"),
    Column("start", pl.Int64(), "0-based first base"),
    Column("end", pl.Int64(), "0-based base after the last"),
    Column("strand", pl.String(), "+, -, or . where it has none"),
    Column("phase", pl.Int32(), "of a CDS: bases before its first whole codon; else null"),
    Column("name", pl.String(), "Name of the feature, such as that of a protein domain; null without one"),
)
"""One row per feature of an annotation and parent, in the order of its file."""
