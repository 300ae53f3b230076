"""What the synthetic plants are made from: species, sizes, seed. The same recipe always gives the same bytes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from glm_assets.demo.publishing import plain

# Raised by hand whenever the same recipe gives other bytes; older data are then made again.
PLANTS_VERSION: Final = 1

SPECIES: Final = ("fictaria", "mockoryza", "phantobrassica")
"""Invented plants."""


@dataclass(frozen=True)
class RepeatRecipe:
    """Words that come again and again in a genome, as transposons do: what lies beyond a few bases tells of them.

    Attributes:
        shared: Words of all species.
        own: Further words of each species.
        bases: Of a word.
        error_rate: Share of bases that differ in a copy.
        gap: Fewest and most bases between two words.
    """

    shared: int = 8
    own: int = 3
    bases: int = 48
    error_rate: float = 0.01
    gap: tuple[int, int] = (6, 36)


@dataclass(frozen=True)
class SampleRecipe:
    """Samples of the first species, with a phenotype that two of their genes tell.

    Attributes:
        phenotypes: Samples of each phenotype.
        genes: Bases of each gene; the shortest ones are shorter than what is read of a gene.
        telling: 0-based numbers of the genes whose alleles go with the phenotype.
        allele_rate: Share of bases in which an allele of those differs from the others.
        own_rate: Share of bases in which each sample differs besides.
        penetrance: Share of the samples whose alleles are sure to be those of their phenotype; the others draw theirs.
        missing: Share of the genes that are empty.
        unknown: Share of the genes with an N.
        without_phenotype: Further samples without a phenotype.
    """

    phenotypes: tuple[tuple[str, int], ...] = (("tall", 30), ("dwarf", 18), ("creeping", 12))
    genes: tuple[int, ...] = (240, 180, 120, 150, 96, 120, 66, 42)
    telling: tuple[int, ...] = (2, 5)
    allele_rate: float = 0.15
    own_rate: float = 0.02
    penetrance: float = 0.9
    missing: float = 0.03
    unknown: float = 0.03
    without_phenotype: int = 2


@dataclass(frozen=True)
class PlantsRecipe:
    """Everything the plants are a function of, besides `PLANTS_VERSION`.

    Attributes:
        seed: Of all that is random.
        records: Bases of the records of each species' FASTA.
        repeats: What recurs in the genomes.
        unknown_runs: Runs of N in a record.
        masked_runs: Runs of lower case in a record.
        samples: The table of samples.
    """

    seed: int = 2027
    records: tuple[tuple[int, ...], ...] = ((42_000, 30_000, 12_500), (48_000, 36_400), (36_000, 24_000, 15_100))
    repeats: RepeatRecipe = RepeatRecipe()
    unknown_runs: int = 2
    masked_runs: int = 3
    samples: SampleRecipe = SampleRecipe()

    def as_dict(self) -> dict[str, Any]:
        """The recipe as it comes back from JSON: lists in place of tuples."""
        return plain(asdict(self))


DEFAULT_PLANTS: Final = PlantsRecipe()

TINY_PLANTS: Final = PlantsRecipe(
    records=((7_000, 5_300), (6_000, 6_100), (12_500,)),
    samples=SampleRecipe(phenotypes=(("tall", 12), ("dwarf", 8)), genes=(120, 90, 120, 42), telling=(1, 2)),
)
