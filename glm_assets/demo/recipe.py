"""What the synthetic tree is made from: chromosomes, sizes, seed. The same recipe always gives the same bytes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any
from zlib import crc32

import numpy as np

from glm_assets.errors import SettingsError
from glm_assets.genome.contigs import GRCH38_REFSEQ

# Raised by hand whenever the same recipe gives other bytes; an older tree is then made again.
GENERATOR_VERSION = 2

MITOCHONDRION = "MT"
BASES_PER_GENE = 2_500  # the longest gene and some distance


@dataclass(frozen=True)
class ChromosomeRecipe:
    """One synthetic chromosome that stands in for a human one.

    Attributes:
        name: Name in the VCF, such as `21` or `MT`.
        length: Bases.
        genes: Protein-coding genes, spread evenly so that windows of two genes do not overlap.
        labelled: ClinVar records that are (likely) pathogenic or (likely) benign with at least one star.

    Raises:
        SettingsError: The chromosome is unknown or too small for its genes.
    """

    name: str
    length: int
    genes: int
    labelled: int

    def __post_init__(self) -> None:
        if self.name not in GRCH38_REFSEQ:
            raise SettingsError(
                f"demo recipe: unknown chromosome {self.name!r}", expected=f"one of {', '.join(GRCH38_REFSEQ)}"
            )
        if self.genes < 3 or self.length < self.genes * BASES_PER_GENE:
            raise SettingsError(
                f"demo recipe: chromosome {self.name} of {self.length:,} bases with {self.genes} genes",
                expected=f"at least 3 genes and {BASES_PER_GENE:,} bases for each",
            )

    @property
    def accession(self) -> str:
        """RefSeq name in the FASTA, such as `NC_000021.9`."""
        return GRCH38_REFSEQ[self.name]


@dataclass(frozen=True)
class SequenceRecipe:
    """The test CSV: reference/variant pairs and mutation ladders.

    Attributes:
        length: Bases of a full sequence; pairs differ at index `length // 2 - 1`, as in the contest.
        pairs: Pairs of full length.
        short_pairs: Pairs cut to three quarters of the length.
        ladders: Base sequences, each with its versions of 1, 2, 4, ... `length // 2` substitutions.
    """

    length: int = 1024
    pairs: int = 16
    short_pairs: int = 2
    ladders: int = 2


@dataclass(frozen=True)
class DemoRecipe:
    """Everything the tree is a function of, besides `GENERATOR_VERSION`."""

    seed: int
    chromosomes: tuple[ChromosomeRecipe, ...]
    sequences: SequenceRecipe

    def as_dict(self) -> dict[str, Any]:
        """The recipe as JSON-able values."""
        recipe = asdict(self)
        return recipe | {"chromosomes": list(recipe["chromosomes"])}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DemoRecipe:
        """The recipe that `as_dict` gave."""
        chromosomes = tuple(ChromosomeRecipe(**chromosome) for chromosome in values["chromosomes"])
        return cls(values["seed"], chromosomes, SequenceRecipe(**values["sequences"]))


# Names and accessions stand in for the human ones; only the mitochondrion has its true length. The seed is one with
# which the split by locus has pathogenic and benign variants in train, val and test.
DEFAULT_RECIPE = DemoRecipe(
    seed=2025,
    chromosomes=(
        ChromosomeRecipe("21", length=360_000, genes=36, labelled=480),
        ChromosomeRecipe("22", length=300_000, genes=30, labelled=420),
        ChromosomeRecipe(MITOCHONDRION, length=16_569, genes=5, labelled=100),
    ),
    sequences=SequenceRecipe(),
)

TINY_RECIPE = DemoRecipe(
    seed=2025,
    chromosomes=(
        ChromosomeRecipe("21", length=36_000, genes=12, labelled=42),
        ChromosomeRecipe("22", length=30_000, genes=10, labelled=32),
    ),
    sequences=SequenceRecipe(length=128, pairs=4, short_pairs=1, ladders=1),
)


def random_stream(seed: int, *purpose: str) -> np.random.Generator:
    """A generator of its own for each purpose, so that a change in one part leaves the others' bytes alone."""
    return np.random.default_rng([seed, *(crc32(word.encode("ascii")) for word in purpose)])
