"""The synthetic polyploid as files: FASTA, GFF3, and sequences with a measured value."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from glm_assets.demo.base_chain import LETTERS, BaseChain
from glm_assets.demo.publishing import write_gzip
from glm_assets.demo.sugarcane_genes import DONOR_SHARES
from glm_assets.demo.sugarcane_genomes import Chromosome, Interval, PlacedGene

_LINE: Final = 60
_SOURCE: Final = "synthetic"
_FLANK: Final = 20
_ABSENT: Final = 0.01


def write_fasta(path: Path, chromosomes: Sequence[Chromosome]) -> None:
    """Write chromosomes as gzipped FASTA, soft-masked."""
    lines = []
    for chromosome in chromosomes:
        text = chromosome.bases.tobytes().decode("ascii")
        lines.append(f">{chromosome.name} SYNTHETIC")
        lines += [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    write_gzip(path, lines)


def write_gff3(path: Path, chromosomes: Sequence[Chromosome]) -> None:
    """Write what lies on chromosomes as gzipped GFF3."""
    lines = ["##gff-version 3", "# SYNTHETIC"]
    lines += [f"##sequence-region {each.name} 1 {len(each.bases)}" for each in chromosomes]
    for chromosome in chromosomes:
        for gene in chromosome.genes:
            lines += _gene_lines(chromosome.name, gene)
            lines.append("###")
        for number, place in enumerate(chromosome.enhancers, start=1):
            label = f"ID={chromosome.name}.enhancer{number}"
            lines.append(_line(chromosome.name, "enhancer", place, ".", ".", label))
    write_gzip(path, lines)


def write_experiment(path: Path, chain: BaseChain, rows: int, noise: float, rng: np.random.Generator) -> None:
    """Write 5' splice sites between two fixed flanks, with how well they fit the genomes' own, plus noise.

    Columns: `sequence`, 49 bases of which the middle nine vary, and `value`, of zero mean and a standard deviation of
    one before the noise.
    """
    before, after = chain.draw(_FLANK, rng), chain.draw(_FLANK, rng)
    # Half as the genomes have them, half at random but for the GT that every intron begins with.
    random = np.where(DONOR_SHARES == 1, 1.0, 0.25 * (DONOR_SHARES.max(axis=1, keepdims=True) < 1))
    drawn = np.stack(
        [[rng.choice(4, p=shares) for shares in (DONOR_SHARES if row % 2 else random)] for row in range(rows)]
    )
    fit = np.log(np.maximum(DONOR_SHARES, _ABSENT))[np.arange(len(DONOR_SHARES)), drawn].sum(axis=1)
    values = (fit - fit.mean()) / fit.std() + rng.normal(0, noise, rows)
    with path.open("w", newline="", encoding="ascii") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("sequence", "value"))
        for site, value in zip(drawn, values, strict=True):
            sequence = np.concatenate([before, LETTERS[site], after]).tobytes().decode("ascii")
            writer.writerow((sequence, f"{value:.4f}"))


def _gene_lines(contig: str, gene: PlacedGene) -> Iterator[str]:
    note = "Note=SYNTHETIC%3B invented"
    yield _line(contig, "gene", gene.span, gene.strand, ".", f"ID={gene.name};Name={gene.name};{note}")
    transcript = f"{gene.name}.t1"
    yield _line(contig, "mRNA", gene.span, gene.strand, ".", f"ID={transcript};Parent={gene.name}")
    for number, exon in enumerate(_in_sense(gene, gene.exons), start=1):
        label = f"ID={transcript}.exon{number};Parent={transcript}"
        yield _line(contig, "exon", exon, gene.strand, ".", label)
    coding = _in_sense(gene, gene.coding)
    done = 0
    for start, end in coding:
        label = f"ID={transcript}.cds;Parent={transcript}"
        yield _line(contig, "CDS", (start, end), gene.strand, str(-done % 3), label)
        done += end - start
    left, right = (gene.span[0], gene.coding[0][0]), (gene.coding[-1][1], gene.span[1])
    leader, trailer = (left, right) if gene.strand == "+" else (right, left)
    yield _line(contig, "five_prime_UTR", leader, gene.strand, ".", f"Parent={transcript}")
    yield _line(contig, "three_prime_UTR", trailer, gene.strand, ".", f"Parent={transcript}")
    yield _line(contig, "promoter", gene.promoter, gene.strand, ".", f"ID={gene.name}.promoter")


def _in_sense(gene: PlacedGene, parts: tuple[Interval, ...]) -> tuple[Interval, ...]:
    return parts if gene.strand == "+" else parts[::-1]


def _line(contig: str, kind: str, place: Interval, strand: str, phase: str, attributes: str) -> str:
    start, end = place
    return "\t".join((contig, _SOURCE, kind, str(start + 1), str(end), ".", strand, phase, attributes))
