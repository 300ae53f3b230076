"""Genomes of invented plants: words that recur, and between them a Markov chain of third order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.demo.background import Bases
from glm_assets.demo.plants_recipe import SPECIES, PlantsRecipe, RepeatRecipe
from glm_assets.demo.recipe import random_stream
from glm_assets.genome.alphabet import N

_LETTERS: Final = np.frombuffer(b"ACGT", np.uint8)
_CONTEXT: Final = 3  # bases that the next one depends on
_SHARED_SPREAD: Final = 0.35  # of the chain's logits; small, so that the words tell more than the chain
_OWN_SPREAD: Final = 0.25
_UNKNOWN_RUN: Final = (20, 400)  # bases
_MASKED_RUN: Final = (100, 900)
_LOWER: Final = 32


@dataclass(frozen=True)
class PlantGenome:
    """One species.

    Attributes:
        species: Its name.
        words: (words, bases) upper-case words of its repeats, the shared ones first.
        clean: Its records as they were before N and lower case were put in.
        records: Its records by name.
    """

    species: str
    words: Bases
    clean: tuple[Bases, ...]
    records: dict[str, Bases]


def make_plant_genomes(recipe: PlantsRecipe) -> tuple[PlantGenome, ...]:
    """The genomes in the order of `SPECIES`."""
    rng = random_stream(recipe.seed, "shared")
    chain = rng.normal(0, _SHARED_SPREAD, (4**_CONTEXT, 4))
    words = _words(rng, recipe.repeats.shared, recipe.repeats.bases)
    return tuple(
        _make_genome(species, lengths, chain, words, recipe)
        for species, lengths in zip(SPECIES, recipe.records, strict=True)
    )


def _make_genome(
    species: str, lengths: tuple[int, ...], chain: NDArray[np.float64], words: Bases, recipe: PlantsRecipe
) -> PlantGenome:
    rng = random_stream(recipe.seed, "genome", species)
    own_chain = chain + rng.normal(0, _OWN_SPREAD, chain.shape)
    own_words = np.concatenate([words, _words(rng, recipe.repeats.own, recipe.repeats.bases)])
    clean = tuple(_record(length, own_chain, own_words, recipe.repeats, rng) for length in lengths)
    named = {f"{species}_{number}": _soil(bases, recipe, rng) for number, bases in enumerate(clean, 1)}
    return PlantGenome(species, own_words, clean, named)


def _words(rng: np.random.Generator, count: int, bases: int) -> Bases:
    return _LETTERS[rng.integers(0, 4, (count, bases))]


def _record(
    length: int, chain: NDArray[np.float64], words: Bases, repeats: RepeatRecipe, rng: np.random.Generator
) -> Bases:
    """A gap, a word, a gap, a word, and so on, cut where the record ends."""
    shortest, longest = repeats.gap
    copies = length // (shortest + repeats.bases) + 1
    between = _chains(copies, longest, chain, rng)
    kept = rng.integers(shortest, longest + 1, copies)
    copied = words[rng.integers(0, len(words), copies)]
    changed = rng.random(copied.shape) < repeats.error_rate
    copied[changed] = _LETTERS[rng.integers(0, 4, int(changed.sum()))]
    parts = [part for gap, own, word in zip(between, kept, copied, strict=True) for part in (gap[:own], word)]
    return np.concatenate(parts)[:length]


def _chains(count: int, length: int, logits: NDArray[np.float64], rng: np.random.Generator) -> Bases:
    """(count, length) bases of Markov chains, a step of all of them at a time."""
    weights = np.exp(logits)
    limits = (weights / weights.sum(axis=1, keepdims=True)).cumsum(axis=1)
    context = rng.integers(0, 4**_CONTEXT, count)
    ids = np.empty((length, count), dtype=np.uint8)
    for place, drawn in enumerate(rng.random((length, count))):
        ids[place] = (drawn[:, None] > limits[context, :3]).sum(axis=1)
        context = (context * 4 + ids[place]) % 4**_CONTEXT
    return _LETTERS[ids].T


def _soil(bases: Bases, recipe: PlantsRecipe, rng: np.random.Generator) -> Bases:
    """Runs of lower case and of N, one N at the very start, and an ambiguous base, as assemblies have them."""
    bases = bases.copy()
    for start, end in _runs(len(bases), recipe.masked_runs, _MASKED_RUN, rng):
        bases[start:end] |= _LOWER
    for start, end in _runs(len(bases), recipe.unknown_runs, _UNKNOWN_RUN, rng):
        bases[start:end] = N
    bases[0] = N
    bases[int(rng.integers(len(bases)))] = ord("R")
    return bases


def _runs(length: int, count: int, bounds: tuple[int, int], rng: np.random.Generator) -> list[tuple[int, int]]:
    starts, lengths = rng.integers(0, length, count), rng.integers(*bounds, count)
    return [
        (start, min(start + own, length)) for start, own in zip(starts.tolist(), lengths.tolist(), strict=True)
    ]
