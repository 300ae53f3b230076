"""Genetic codes and codon usage of the synthetic genes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

# Codons in NCBI's order: first base slowest, each base running through T, C, A, G.
CODONS = tuple("".join(bases) for bases in product("TCAG", repeat=3))

# Human codons per thousand (Kazusa codon usage database), in the order of `CODONS`.
# fmt: off
_PER_THOUSAND = (
    17.6, 20.3,  7.7, 12.9, 15.2, 17.7, 12.2,  4.4, 12.2, 15.3,  1.0,  0.8, 10.6, 12.6,  1.6, 13.2,
    13.2, 19.6,  7.2, 39.6, 17.5, 19.8, 16.9,  6.9, 10.9, 15.1, 12.3, 34.2,  4.5, 10.4,  6.2, 11.4,
    16.0, 20.8,  7.5, 22.0, 13.1, 18.9, 15.1,  6.1, 17.0, 19.1, 24.4, 31.9, 12.1, 19.5, 12.2, 12.0,
    11.0, 14.5,  7.1, 28.1, 18.4, 27.7, 15.8,  7.4, 21.8, 25.1, 29.0, 39.6, 10.8, 22.2, 16.5, 16.5,
)
# fmt: on


@dataclass(frozen=True)
class GeneticCode:
    """A translation table; `amino_acids` has one letter per entry of `CODONS`, `*` for stop."""

    amino_acids: str

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop codons."""
        return tuple(codon for codon, amino in zip(CODONS, self.amino_acids, strict=True) if amino == "*")

    def usage(self) -> NDArray[np.float64]:
        """How often each entry of `CODONS` is used inside a gene: human usage, stops never."""
        sense = np.array([amino != "*" for amino in self.amino_acids])
        weights = np.array(_PER_THOUSAND) * sense
        return weights / weights.sum()

    def translate(self, coding: str) -> str:
        """Protein up to and including the first stop; an incomplete last codon is left out."""
        table = dict(zip(CODONS, self.amino_acids, strict=True))
        protein = "".join(table[coding[i : i + 3]] for i in range(0, len(coding) - 2, 3))
        return protein.split("*", 1)[0] + "*" if "*" in protein else protein


# NCBI translation tables 1 and 2.
STANDARD_CODE = GeneticCode("FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG")
MITOCHONDRIAL_CODE = GeneticCode("FFLLSSSSYY**CCWWLLLLPPPPHHQQRRRRIIMMTTTTNNKKSS**VVVVAAAADDEEGGGG")
