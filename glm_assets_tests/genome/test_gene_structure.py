"""Genes from features: the transcript that stands for a gene, its introns and its coding sequence."""

from __future__ import annotations

import numpy as np
import polars as pl

from glm_assets.genome.gene_structure import coding_sequences, gene_structures, representative_transcripts

ROWS = [
    # feature, parent, gene, type, contig, start, end, strand, phase
    ("g1", None, "g1", "gene", "c", 0, 100, "+", None),
    ("g1.a", "g1", "g1", "mRNA", "c", 0, 100, "+", None),
    (None, "g1.a", "g1", "exon", "c", 0, 20, "+", None),
    (None, "g1.a", "g1", "exon", "c", 50, 100, "+", None),
    (None, "g1.a", "g1", "CDS", "c", 10, 20, "+", 0),
    (None, "g1.a", "g1", "CDS", "c", 50, 55, "+", 2),
    ("g1.b", "g1", "g1", "mRNA", "c", 0, 100, "+", None),
    (None, "g1.b", "g1", "exon", "c", 0, 100, "+", None),
    (None, "g1.b", "g1", "CDS", "c", 10, 16, "+", 0),
    ("g2", None, "g2", "gene", "c", 120, 150, "-", None),
    (None, "g2.a", "g2", "exon", "c", 140, 150, "-", None),
    (None, "g2.a", "g2", "exon", "c", 120, 130, "-", None),
    (None, "g2.a", "g2", "CDS", "c", 140, 148, "-", 1),
    (None, "g2.a", "g2", "CDS", "c", 120, 124, "-", 0),
    ("g3", None, "g3", "gene", "c", 160, 170, "+", None),
]
NAMES = ["feature_id", "parent", "gene_id", "type", "contig", "start", "end", "strand", "phase"]
FEATURES = pl.DataFrame(ROWS, NAMES, orient="row")


class Genome:
    """A contig of letters that tell their places."""

    bases = np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), 200)

    def fetch(self, contig: str) -> np.ndarray:
        assert contig == "c"
        return self.bases


def test_the_transcript_that_codes_for_most_stands_for_a_gene():
    assert dict(representative_transcripts(FEATURES).iter_rows()) == {"g1": "g1.a", "g2": "g2.a"}


def test_exons_and_introns_are_those_of_that_transcript():
    genes, introns = gene_structures(FEATURES)
    assert genes.rows() == [("g1", 100, 2, 35.0, 70), ("g2", 30, 2, 10.0, 20)]
    assert introns.to_list() == [30, 10]


def test_coding_sequences_are_read_along_the_strand_from_the_first_whole_codon():
    text = Genome.bases.tobytes().decode()
    plus, minus = (piece.tobytes().decode() for piece in coding_sequences(FEATURES, Genome()))  # pyright: ignore
    assert plus == text[10:20] + text[50:55]
    turned = (text[120:124] + text[140:148])[::-1].translate(str.maketrans("ACGT", "TGCA"))
    assert minus == turned[1:]


def test_a_gene_of_another_type_counts_with_its_introns():
    """What EuPathDB calls a gene: its introns count, and so does it."""
    kind = pl.when(pl.col("type") == "gene").then(pl.lit("protein_coding_gene")).otherwise("type")
    genes, introns = gene_structures(FEATURES.with_columns(type=kind))
    expected, same = gene_structures(FEATURES)
    assert genes.equals(expected)
    assert introns.equals(same)
