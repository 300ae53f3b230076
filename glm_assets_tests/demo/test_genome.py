from __future__ import annotations

import gzip
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from glm_assets_tests.demo.oracle import read_fasta, spliced, translate

ACCESSIONS = ["NC_000021.9", "NC_000022.11", "NT_113889.1", "NW_009646201.1", "NC_012920.1"]


def _genes(genome):
    return [(contig, gene) for contig in genome.values() for gene in contig.genes]


def test_the_fasta_is_written_as_ncbi_does(tree):
    with gzip.open(tree.fasta, "rt") as stream:
        lines = stream.read().split("\n")
    titles = [line for line in lines if line.startswith(">")]
    assert [title[1:].split()[0] for title in titles] == ACCESSIONS
    assert all(" SYNTHETIC, stands in for Homo sapiens " in title for title in titles)
    assert lines[-1] == ""
    for line, following in pairwise(lines[:-1]):
        assert line.startswith(">") or len(line) == 80 or following.startswith(">")
    assert tree.fasta.read_bytes()[4:8] == b"\0\0\0\0"  # no time in the gzip header


def test_the_fasta_holds_the_genome_soft_masked(tree, genome):
    shown = read_fasta(tree.fasta)
    for contig in genome.values():
        assert shown[contig.accession].upper() == contig.sequence
        lower = np.char.islower(np.array(list(shown[contig.accession])))
        np.testing.assert_array_equal(lower, contig.masked)
    for name in ("NC_000021.9", "NC_000022.11"):
        share = sum(map(str.islower, shown[name])) / len(shown[name])
        assert 0.01 < share < 0.2
    assert len(shown["NC_012920.1"]) == 16_569


def test_each_nuclear_chromosome_has_one_run_of_unknown_bases(genome):
    for name in ("21", "22"):
        contig = genome[name]
        start, end = contig.unknown
        assert contig.sequence.count("N") == end - start
        assert set(contig.sequence[start:end]) == {"N"}
        assert not contig.masked[start:end].any()
    assert "N" not in genome["MT"].sequence


def test_reading_frames_are_open_from_start_to_stop(genome, sequences):
    for contig, gene in _genes(genome):
        protein = translate(spliced(gene, sequences[contig.name]), mitochondrial=contig.name == "MT")
        assert protein[0] == "M"
        assert protein.index("*") == len(protein) - 1
        assert gene.coding_sequence(contig.sequence) == spliced(gene, sequences[contig.name])


def test_introns_begin_with_gt_and_end_with_ag(genome, sequences):
    for contig, gene in _genes(genome):
        for start, end in gene.introns:
            intron = gene.sense(sequences[contig.name][start:end])
            assert intron[:2] + intron[-2:] == "GTAG"


def test_genes_lie_on_both_strands_and_only_nuclear_ones_have_introns(genome):
    for name in ("21", "22", "MT"):
        genes = genome[name].genes
        assert 0.3 < sum(gene.reverse for gene in genes) / len(genes) < 0.7
        assert all(bool(gene.introns) == (name != "MT") for gene in genes)
    assert {len(gene.exons) for _, gene in _genes(genome)} == {1, 2, 3, 4, 5}


def test_windows_of_neighbouring_genes_do_not_overlap(genome):
    for name in ("21", "22", "MT"):
        for left, right in pairwise(genome[name].genes):
            assert right.exons[0][0] - left.exons[-1][1] > 1024


def test_the_outermost_genes_reach_into_the_clamped_windows(genome):
    for name in ("21", "22", "MT"):
        contig = genome[name]
        assert contig.genes[0].exons[0][0] < 64
        assert len(contig.sequence) - contig.genes[-1].exons[-1][1] < 128


def test_the_background_has_few_cpg_and_regions_of_different_gc(genome):
    between = genome["21"].sequence
    share = Counter(between)
    expected = share["C"] * share["G"] / len(between)
    assert 0.15 < between.count("CG") / expected < 0.5
    regions = [between[i : i + 4_000] for i in range(0, len(between), 4_000)]
    gc = [(region.count("C") + region.count("G")) / len(region) for region in regions]
    assert max(gc) - min(gc) > 0.1


def test_coding_sequence_can_be_told_from_background_by_its_codons(genome):
    """In frame, codons are used as in human genes; out of frame they are not."""
    coding = "".join(gene.coding_sequence(genome["21"].sequence)[3:-3] for gene in genome["21"].genes)

    def leucine_ctg(shift: int) -> float:
        codons = Counter(coding[i : i + 3] for i in range(shift, len(coding) - 2, 3))
        return codons["CTG"] / sum(codons[codon] for codon in ("CTG", "CTA", "CTT", "CTC", "TTA", "TTG"))

    assert leucine_ctg(0) == pytest.approx(39.6 / 100.2, abs=0.05)
    assert leucine_ctg(0) > leucine_ctg(1) + 0.1
    assert leucine_ctg(0) > leucine_ctg(2) + 0.1
