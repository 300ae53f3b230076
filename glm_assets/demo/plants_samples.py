"""Samples of an invented plant: genes that differ a little in all of them, two of which go with the phenotype."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.demo.background import Bases
from glm_assets.demo.plants_recipe import PlantsRecipe, SampleRecipe
from glm_assets.demo.recipe import random_stream
from glm_assets.genome.alphabet import N

_LETTERS: Final = np.frombuffer(b"ACGT", np.uint8)


@dataclass(frozen=True)
class Sample:
    """A row of the table.

    Attributes:
        name: Its `Sample_ID`.
        phenotype: Empty where it is not known.
        genes: Sequence of each gene, empty where it is missing.
    """

    name: str
    phenotype: str
    genes: tuple[str, ...]


def make_samples(bases: Bases, recipe: PlantsRecipe) -> list[Sample]:
    """The samples in an order that tells nothing.

    Args:
        bases: Upper-case A, C, G and T that the genes are cut from.
        recipe: Seed and numbers.
    """
    rng = random_stream(recipe.seed, "samples")
    of = recipe.samples
    ancestors = _cut(bases, of.genes, rng)
    names = [name for name, _ in of.phenotypes]
    alleles = [[_mutate(gene, of.allele_rate, rng) for gene in ancestors] for _ in names]
    truth = np.repeat(np.arange(len(names)), [count for _, count in of.phenotypes])
    nameless = rng.integers(0, len(names), of.without_phenotype)
    known = np.repeat([True, False], [len(truth), len(nameless)])
    order = rng.permutation(len(known))
    truth, known = np.concatenate([truth, nameless])[order].tolist(), known[order].tolist()
    samples = []
    for number, (phenotype, is_known) in enumerate(zip(truth, known, strict=True), 1):
        carried = phenotype if rng.random() < of.penetrance else int(rng.integers(len(names)))
        genes = [
            _carried(alleles[carried][place] if place in of.telling else gene, of, rng)
            for place, gene in enumerate(ancestors)
        ]
        samples.append(Sample(f"S{number:03d}", names[phenotype] if is_known else "", tuple(genes)))
    return samples


def _cut(bases: Bases, lengths: tuple[int, ...], rng: np.random.Generator) -> list[Bases]:
    starts = rng.integers(0, len(bases) - max(lengths), len(lengths))
    return [bases[start : start + length] for start, length in zip(starts.tolist(), lengths, strict=True)]


def _carried(allele: Bases, of: SampleRecipe, rng: np.random.Generator) -> str:
    """A sample's own version of an allele."""
    own = _mutate(allele, of.own_rate, rng)
    if rng.random() < of.unknown:
        own[int(rng.integers(len(own)))] = N
    return "" if rng.random() < of.missing else own.tobytes().decode("ascii")


def _mutate(gene: NDArray[np.uint8], rate: float, rng: np.random.Generator) -> Bases:
    changed = rng.random(len(gene)) < rate
    return np.where(changed, rng.choice(_LETTERS, len(gene)), gene)
