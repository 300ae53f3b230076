"""The synthetic genome: chromosomes with genes, two gene-less scaffolds, and the FASTA they are written to."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from glm_assets.demo.background import Bases, make_background, make_repeat, scatter_repeats
from glm_assets.demo.codes import MITOCHONDRIAL_CODE, STANDARD_CODE
from glm_assets.demo.genes import Gene, Interval, make_gene_sequence
from glm_assets.demo.recipe import MITOCHONDRION, ChromosomeRecipe, DemoRecipe, random_stream
from glm_assets.genome.alphabet import N

# Unplaced scaffolds that the real release has records on, under these names in VCF and FASTA alike.
SCAFFOLDS = ("NT_113889.1", "NW_009646201.1")

_SCAFFOLD_LENGTH = 3_000
_END_MARGIN = 30  # the outermost genes start and end this near the chromosome's ends, to reach clamped windows
_UNKNOWN_DISTANCE = 300  # from the end of a gene to the run of N: some windows hold both
_UNKNOWN_LENGTH = 200
_LINE = 80


@dataclass(frozen=True)
class Contig:
    """One sequence of the genome.

    Attributes:
        name: Name in the VCF.
        accession: Name in the FASTA.
        sequence: Upper-case bases.
        masked: True where the FASTA shows lower case.
        genes: In contig order.
        unknown: The run of N, if there is one.
    """

    name: str
    accession: str
    sequence: str
    masked: NDArray[np.bool_]
    genes: tuple[Gene, ...] = ()
    unknown: Interval | None = None

    @property
    def title(self) -> str:
        """The FASTA header without `>`; it says that the sequence is synthetic."""
        if self.name == MITOCHONDRION:
            stands_for = "Homo sapiens mitochondrion, complete genome"
        elif self.name in SCAFFOLDS:
            stands_for = "Homo sapiens unplaced genomic scaffold, GRCh38.p14 Primary Assembly"
        else:
            stands_for = f"Homo sapiens chromosome {self.name}, GRCh38.p14 Primary Assembly"
        return f"{self.accession} SYNTHETIC, stands in for {stands_for}"


def make_genome(recipe: DemoRecipe) -> tuple[Contig, ...]:
    """All contigs of a recipe in the order of NCBI's FASTA: chromosomes, scaffolds, mitochondrion."""
    repeat = make_repeat(random_stream(recipe.seed, "repeat"))
    chromosomes = [
        _chromosome(chromosome, repeat, random_stream(recipe.seed, "chromosome", chromosome.name))
        for chromosome in recipe.chromosomes
    ]
    scaffolds = [_scaffold(name, random_stream(recipe.seed, "scaffold", name)) for name in SCAFFOLDS]
    last = [contig for contig in chromosomes if contig.name == MITOCHONDRION]
    return (*(contig for contig in chromosomes if contig.name != MITOCHONDRION), *scaffolds, *last)


def write_fasta(genome: tuple[Contig, ...], path: Path) -> None:
    """Write plain gzip, 80 columns, soft-masked; the same genome gives the same bytes."""
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as stream:
        for contig in genome:
            bases = np.frombuffer(contig.sequence.encode("ascii"), dtype=np.uint8)
            shown = np.where(contig.masked, bases | 0x20, bases).astype(np.uint8).tobytes()
            lines = [shown[i : i + _LINE] for i in range(0, len(shown), _LINE)]
            stream.write(b">%s\n%s\n" % (contig.title.encode("ascii"), b"\n".join(lines)))


def _scaffold(name: str, rng: np.random.Generator) -> Contig:
    bases = make_background(_SCAFFOLD_LENGTH, rng)
    return Contig(name, name, bases.tobytes().decode("ascii"), np.zeros(bases.size, dtype=bool))


def _chromosome(recipe: ChromosomeRecipe, repeat: Bases, rng: np.random.Generator) -> Contig:
    bases = make_background(recipe.length, rng)
    masked = scatter_repeats(bases, repeat, rng)
    genes = tuple(_write_gene(recipe, number, bases, masked, rng) for number in range(recipe.genes))
    unknown = None
    if recipe.name != MITOCHONDRION:
        start = genes[recipe.genes // 2].exons[-1][1] + _UNKNOWN_DISTANCE
        unknown = (start, start + _UNKNOWN_LENGTH)
        bases[slice(*unknown)] = N
        masked[slice(*unknown)] = False
    return Contig(recipe.name, recipe.accession, bases.tobytes().decode("ascii"), masked, genes, unknown)


def _write_gene(
    recipe: ChromosomeRecipe,
    number: int,
    bases: Bases,
    masked: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Gene:
    """Write gene `number` into its share of the chromosome, on alternating strands."""
    mitochondrial = recipe.name == MITOCHONDRION
    code = MITOCHONDRIAL_CODE if mitochondrial else STANDARD_CODE
    sequence = make_gene_sequence(code, spliced=not mitochondrial, rng=rng)
    reverse = number % 2 == 1
    share = recipe.length // recipe.genes
    length = sequence.bases.size
    start = number * share + (share - length) // 2
    if number == 0:
        start = _END_MARGIN
    elif number == recipe.genes - 1:
        start = recipe.length - _END_MARGIN - length
    forward, exons = sequence.placed(start, reverse=reverse)
    bases[start : start + length] = forward
    masked[start : start + length] = False
    symbol = f"DEMO{recipe.name}G{number + 1:02d}"
    gene_id = 900_000_000 + crc32(symbol.encode("ascii")) % 100_000_000
    return Gene(symbol, gene_id, reverse, exons, code)
