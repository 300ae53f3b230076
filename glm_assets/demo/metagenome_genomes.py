"""Genomes of invented groups: a group shows in the order of bases and in its codons, not in how many G and C it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.demo.background import Bases
from glm_assets.demo.metagenome_recipe import LabelRecipe, MetagenomeRecipe
from glm_assets.demo.recipe import random_stream
from glm_assets.genome.alphabet import reverse_complement

_LETTERS: Final = np.frombuffer(b"ACGT", np.uint8)
_STRONG: Final = np.array([False, True, True, False])
_CONTEXT: Final = 3  # bases that the next one depends on
_STOPS: Final = ("TAA", "TAG", "TGA")

_GC_RANGE: Final = (0.38, 0.54)  # of genomes of every group: the GC content tells no group
_GROUP_SPREAD: Final = 1.1  # of the logits that a group's genomes share
_OWN_SPREAD: Final = 0.4  # of those of each genome: reads of an unseen genome are harder
_GENE_CODONS: Final = (60, 160)
_GENE_GAP: Final = (60, 200)  # bases


@dataclass(frozen=True)
class Genome:
    """A source of reads.

    Attributes:
        name: Unlike any other's; without white space, slash and underscore.
        label: Its group.
        class_id: One of the group's.
        bases: Upper-case A, C, G and T.
    """

    name: str
    label: LabelRecipe
    class_id: int
    bases: Bases


@dataclass(frozen=True)
class _Habits:
    """Logits of the next base by context (64, 4), and of codons (64,)."""

    next_base: NDArray[np.float64]
    codon: NDArray[np.float64]


def make_genomes(recipe: MetagenomeRecipe) -> tuple[Genome, ...]:
    """All genomes by label; the last `strange_genomes` of each are those that no labelled read is from."""
    each = recipe.genomes + recipe.strange_genomes
    habits, shares, owners = [], [], []
    for label in recipe.labels:
        shared = _draw(random_stream(recipe.seed, "group", label.name), _GROUP_SPREAD)
        for number in range(each):
            rng = random_stream(recipe.seed, "genome", label.name, str(number))
            own = _draw(rng, _OWN_SPREAD)
            habits.append(_Habits(shared.next_base + own.next_base, shared.codon + own.codon))
            shares.append(float(rng.uniform(*_GC_RANGE)))
            owners.append((label, number, rng))
    between = _between_genes(habits, shares, recipe.genome_length, random_stream(recipe.seed, "between"))
    genomes = []
    for (label, number, rng), own, gc, bases in zip(owners, habits, shares, between, strict=True):
        _write_genes(bases, _codon_shares(own.codon, gc), rng)
        class_id = label.class_ids[number % len(label.class_ids)]
        genomes.append(Genome(f"SYN{label.class_ids[0]}{number:03d}.1", label, class_id, bases))
    return tuple(genomes)


def _draw(rng: np.random.Generator, spread: float) -> _Habits:
    return _Habits(rng.normal(0, spread, (4**_CONTEXT, 4)), rng.normal(0, spread, 64))


def _between_genes(
    habits: list[_Habits], shares: list[float], length: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """(genomes, length) bases of a Markov chain of third order, all genomes a step at a time."""
    limits = np.stack(
        [_base_shares(own.next_base, gc).cumsum(axis=1) for own, gc in zip(habits, shares, strict=True)]
    )
    genomes = np.arange(len(habits))
    context = rng.integers(0, 4**_CONTEXT, len(habits))
    ids = np.empty((length, len(habits)), dtype=np.uint8)
    for place, drawn in enumerate(rng.random((length, len(habits)))):
        chosen = (drawn[:, None] > limits[genomes, context, :3]).sum(axis=1)
        ids[place] = chosen
        context = (context * 4 + chosen) % 4**_CONTEXT
    return np.ascontiguousarray(_LETTERS[ids].T)


def _base_shares(logits: NDArray[np.float64], gc: float) -> NDArray[np.float64]:
    """Shares of the four bases after each context, G and C together those of the genome."""
    weights = np.exp(logits)
    for pair, share in ((_STRONG, gc), (~_STRONG, 1 - gc)):
        weights[:, pair] *= share / weights[:, pair].sum(axis=1, keepdims=True)
    return weights


def _codon_shares(logits: NDArray[np.float64], gc: float) -> NDArray[np.float64]:
    """Shares of the codons (64,): those with equally many G and C are together as common as the GC content makes them.

    There are no stop codons, so GC and AT are not quite in balance.
    """
    codes = np.arange(64)
    digits = np.stack([codes >> 4, codes >> 2 & 3, codes & 3], axis=1)
    strong = _STRONG[digits].sum(axis=1)
    shares = np.exp(logits)
    stops = [place for place, letters in enumerate(_LETTERS[digits]) if letters.tobytes().decode() in _STOPS]
    shares[stops] = 0
    for count in range(4):
        own = strong == count
        shares[own] *= (1, 3, 3, 1)[count] * gc**count * (1 - gc) ** (3 - count) / shares[own].sum()
    return shares


def _write_genes(bases: Bases, shares: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Write runs of codons over the bases, on either strand, with gaps between them."""
    start = int(rng.integers(*_GENE_GAP))
    while True:
        codons = int(rng.integers(*_GENE_CODONS))
        end = start + 3 * codons
        if end > len(bases):
            return
        codes = rng.choice(64, codons, p=shares)
        gene = _LETTERS[np.stack([codes >> 4, codes >> 2 & 3, codes & 3], axis=1)].ravel()
        bases[start:end] = gene if rng.random() < 0.5 else reverse_complement(gene)
        start = end + int(rng.integers(*_GENE_GAP))
