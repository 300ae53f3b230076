"""What the synthetic polyploid is made from: chromosomes, genes, seed. The same recipe always gives the same bytes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

# Raised by hand whenever the same recipe gives other bytes; older data are then made again.
SUGARCANE_VERSION: Final = 1


@dataclass(frozen=True)
class VarietyRecipe:
    """One variety.

    Attributes:
        name: Of the variety.
        copies: Letters of the copies of each chromosome, such as `AB` of Chr1A and Chr1B.
    """

    name: str
    copies: tuple[str, ...]


@dataclass(frozen=True)
class SugarcaneRecipe:
    """Everything the genomes are a function of, besides `SUGARCANE_VERSION`.

    Attributes:
        seed: Of all that is random.
        varieties: They share ancestors, from which each has its own copies.
        genes: Of each chromosome.
        divergence: Share of the bases, and of the codons, that differ between a copy and its ancestor.
        context_spread: Of the weights of words of four bases: the larger, the easier to foresee is the next base.
        codon_spread: Of the logarithms of the codons' shares.
        measured: Rows of the experiment.
        noise: Standard deviation of the experiment's error, of values whose own is one.
    """

    seed: int = 2027
    varieties: tuple[VarietyRecipe, ...] = (
        VarietyRecipe("SYN22", ("AB", "AB", "AB", "AB")),
        VarietyRecipe("SYN570", ("ABC", "AB", "A", "AB")),
    )
    genes: int = 10
    divergence: float = 0.06
    context_spread: float = 0.8
    codon_spread: float = 0.8
    measured: int = 300
    noise: float = 0.4

    def as_dict(self) -> dict[str, Any]:
        """The recipe as it comes back from JSON: lists in place of tuples."""
        varieties = [{"name": variety.name, "copies": list(variety.copies)} for variety in self.varieties]
        return asdict(self) | {"varieties": varieties}


DEFAULT_SUGARCANE: Final = SugarcaneRecipe()
