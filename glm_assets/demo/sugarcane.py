"""The synthetic polyploid: two varieties' genomes with annotations, and an experiment, made once and found again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from glm_assets.demo.base_chain import make_chain
from glm_assets.demo.publishing import make_once
from glm_assets.demo.recipe import random_stream
from glm_assets.demo.sugarcane_files import write_experiment, write_fasta, write_gff3
from glm_assets.demo.sugarcane_genomes import Chromosome, make_chromosomes
from glm_assets.demo.sugarcane_recipe import DEFAULT_SUGARCANE, SUGARCANE_VERSION, SugarcaneRecipe
from glm_assets.genome.alphabet import N

RECORD: Final = "demo_sugarcane.json"
EXPERIMENT: Final = Path("splice_sites.csv")


@dataclass(frozen=True)
class DemoSugarcane:
    """Finished files.

    Attributes:
        root: Their folder.
        counts: By variety: `contigs`, `bases`, `unknown`, `soft_masked`, `genes`, `exons`, `coding` (rows of CDS),
            `promoters`, `enhancers` and `microsatellites` (by motif); `entropy`: nats of a base between genes, given
            the three before it.
    """

    VARIETIES: ClassVar[tuple[str, ...]] = tuple(variety.name for variety in DEFAULT_SUGARCANE.varieties)

    root: Path
    counts: dict[str, Any]

    def fasta(self, variety: str) -> Path:
        """A variety's chromosomes, gzipped FASTA, soft-masked; Chr1A and Chr1B are copies of one ancestor."""
        return self.root / f"{variety}.fa.gz"

    def gff3(self, variety: str) -> Path:
        """Its genes, promoters and enhancers, gzipped GFF3."""
        return self.root / f"{variety}.gff3.gz"

    @property
    def experiment(self) -> Path:
        """CSV with `sequence` and `value`: 5' splice sites, and how well they fit those of the genomes."""
        return self.root / EXPERIMENT


def make_demo_sugarcane(folder: Path, recipe: SugarcaneRecipe = DEFAULT_SUGARCANE) -> DemoSugarcane:
    """Make the files in `folder`, or find them finished there; whole or absent.

    Args:
        folder: Where they shall be.
        recipe: What to make.

    Raises:
        DataRootError: `folder` holds something else.
    """
    made_of = {"generator_version": SUGARCANE_VERSION, "recipe": recipe.as_dict()}
    return DemoSugarcane(folder, make_once(folder, RECORD, made_of, lambda work: _build(work, recipe)))


def _build(root: Path, recipe: SugarcaneRecipe) -> dict[str, Any]:
    root.mkdir(parents=True, exist_ok=True)
    demo = DemoSugarcane(root, {})
    counts: dict[str, Any] = {}
    for variety in recipe.varieties:
        chromosomes = make_chromosomes(recipe, variety)
        write_fasta(demo.fasta(variety.name), chromosomes)
        write_gff3(demo.gff3(variety.name), chromosomes)
        counts[variety.name] = _counts(chromosomes)
    chain = make_chain(recipe.context_spread, random_stream(recipe.seed, "chain"))
    rng = random_stream(recipe.seed, "experiment")
    write_experiment(demo.experiment, chain, recipe.measured, recipe.noise, rng)
    return counts | {"entropy": round(chain.entropy, 4)}


def _counts(chromosomes: list[Chromosome]) -> dict[str, Any]:
    genes = [gene for chromosome in chromosomes for gene in chromosome.genes]
    bases = np.concatenate([chromosome.bases for chromosome in chromosomes])
    motifs = sum((chromosome.microsatellites for chromosome in chromosomes), Counter[str]())
    return {
        "contigs": len(chromosomes),
        "bases": len(bases),
        "unknown": int((bases == N).sum()),
        "soft_masked": int((bases >= ord("a")).sum()),
        "genes": len(genes),
        "exons": sum(len(gene.exons) for gene in genes),
        "coding": sum(len(gene.coding) for gene in genes),
        "promoters": len(genes),
        "enhancers": sum(len(chromosome.enhancers) for chromosome in chromosomes),
        "microsatellites": dict(sorted(motifs.items())),
    }
