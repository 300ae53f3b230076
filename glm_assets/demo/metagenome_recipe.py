"""What the synthetic metagenome is made from: labels, sizes, seed. The same recipe always gives the same bytes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from glm_assets.demo.publishing import plain

# Raised by hand whenever the same recipe gives other bytes; older data are then made again.
METAGENOME_VERSION: Final = 1

UNMAPPED_CLASS: Final = 999
"""Class id of some reads, which the mapping lacks."""


@dataclass(frozen=True)
class LabelRecipe:
    """An invented group of organisms.

    Attributes:
        name: The label.
        class_ids: Its class ids; the genomes take turns.
        tax_id: An invented taxonomy id.
    """

    name: str
    class_ids: tuple[int, ...]
    tax_id: int


@dataclass(frozen=True)
class OddityRecipe:
    """How many labelled reads are odd, each in one way.

    Attributes:
        lower_case: Reads in lower case.
        rna: Reads with U in place of T.
        unknown: Reads with one to three N.
        ambiguous: Reads with one to three IUPAC codes.
        mostly_unknown: Reads that are N to two fifths.
        short: Reads of 20 bases.
        wrong_length: Reads whose header declares another length.
        unmapped: Reads of a class id that the mapping lacks.
    """

    lower_case: int = 24
    rna: int = 24
    unknown: int = 24
    ambiguous: int = 16
    mostly_unknown: int = 6
    short: int = 4
    wrong_length: int = 60
    unmapped: int = 12


@dataclass(frozen=True)
class MetagenomeRecipe:
    """Everything the metagenome is a function of, besides `METAGENOME_VERSION`.

    Attributes:
        seed: Of all that is random.
        labels: The groups.
        genomes: Source genomes of each label, all of the labelled reads.
        genome_length: Bases of a genome.
        fragments: Fragments that are read of each genome.
        mated: Share of the fragments that are read from both ends.
        lengths: Bases of the shortest and of the longest read.
        error_rate: Share of substituted bases.
        strange_genomes: Further genomes of each label, which only the unlabelled reads are from.
        sample_reads: Reads of each unlabelled sample.
        abundances: Share of each label in each sample; the last sample is the FASTQ, the others are rows of the CSV.
        oddities: Odd reads.
    """

    seed: int = 2026
    labels: tuple[LabelRecipe, ...] = (
        LabelRecipe("caldarella", (110, 111), 9_900_110),
        LabelRecipe("fictobacter", (210,), 9_900_210),
        LabelRecipe("mockomyces", (310, 311, 312), 9_900_310),
        LabelRecipe("phantoplastis", (410,), 9_900_410),
    )
    genomes: int = 12
    genome_length: int = 5_000
    fragments: int = 40
    mated: float = 0.25
    lengths: tuple[int, int] = (60, 150)
    error_rate: float = 0.005
    strange_genomes: int = 2
    sample_reads: int = 150
    abundances: dict[str, tuple[float, ...]] = field(
        default_factory=lambda: {
            "spring_water": (0.6, 0.3, 0.1, 0.0),
            "forest_soil": (0.1, 0.2, 0.65, 0.05),
            "leaf_wash": (0.05, 0.25, 0.1, 0.6),
        }
    )
    oddities: OddityRecipe = OddityRecipe()

    def as_dict(self) -> dict[str, Any]:
        """The recipe as it comes back from JSON: lists in place of tuples."""
        return plain(asdict(self))


DEFAULT_METAGENOME: Final = MetagenomeRecipe()

TINY_METAGENOME: Final = MetagenomeRecipe(
    genomes=5,
    genome_length=1_500,
    fragments=12,
    sample_reads=20,
    oddities=OddityRecipe(4, 4, 4, 3, 2, 1, 8, 3),
)
