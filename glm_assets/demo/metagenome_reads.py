"""Reads of the invented genomes: both strands, several lengths, a few errors, and what is odd in real files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from glm_assets.demo.background import Bases
from glm_assets.demo.metagenome_genomes import Genome
from glm_assets.demo.metagenome_recipe import UNMAPPED_CLASS, MetagenomeRecipe, OddityRecipe
from glm_assets.genome.alphabet import reverse_complement

_LETTERS: Final = np.frombuffer(b"ACGT", np.uint8)
_CODES: Final = "RYKMSWBDHV"
_INSERT: Final = (160, 400)  # bases of a fragment that is read from both ends
_SHORT: Final = 20
_WITHOUT_FIELD: Final = 0.05  # share of headers without tax id, and without read length
_QUALITY: Final = (28, 41)


@dataclass(frozen=True)
class Read:
    """A read and what is true of it.

    Attributes:
        name: `<genome>_<position>_<f|r>`: the 0-based start of the fragment in the genome, and the strand.
        mate: 1 or 2; None of a fragment that is read once.
        genome: Its source.
        class_id: What the header says.
        tax_id: What the header says; None where it is silent.
        declared: Bases that the header says; None where it is silent.
        sequence: The bases, odd ones included.
        oddity: In what way it is odd, by the names of `OddityRecipe`; empty for most.
    """

    name: str
    mate: int | None
    genome: Genome
    class_id: int
    tax_id: int | None
    declared: int | None
    sequence: str
    oddity: str = ""

    @property
    def header(self) -> str:
        """`lbl|class_id|tax_id|readlen|name/mate`."""
        fields = ("" if value is None else str(value) for value in (self.class_id, self.tax_id, self.declared))
        return "|".join(["lbl", *fields, self.name]) + (f"/{self.mate}" if self.mate else "")


def labelled_reads(
    genomes: Sequence[Genome], recipe: MetagenomeRecipe, rng: np.random.Generator
) -> list[list[Read]]:
    """Reads of each fragment, in an order that tells nothing; a fragment has one read or two mates.

    Args:
        genomes: The sources.
        recipe: Numbers of fragments, lengths, errors and odd reads.
        rng: Decides everything else.
    """
    fragments = []
    for genome in genomes:
        places = rng.choice(len(genome.bases) - _INSERT[1], recipe.fragments, replace=False)
        fragments += [_fragment(genome, int(place), recipe, rng) for place in places]
    fragments = [fragments[place] for place in rng.permutation(len(fragments))]
    changes = iter(_oddities(recipe.oddities))
    for fragment in fragments:
        for place, read in enumerate(fragment):
            name, change = next(changes, ("", None))
            if change is not None:
                fragment[place] = replace(change(read, rng), oddity=name)
    return [fragments[place] for place in rng.permutation(len(fragments))]


def sample_reads(
    genomes: Sequence[Genome], shares: Sequence[float], recipe: MetagenomeRecipe, rng: np.random.Generator
) -> list[Read]:
    """Reads of a sample without labels, in an order that tells nothing.

    Args:
        genomes: The sources.
        shares: Of the labels in the recipe's order; numbers of reads are rounded to them.
        recipe: Lengths and errors.
        rng: Decides everything else.
    """
    reads = []
    for label, share in zip(recipe.labels, shares, strict=True):
        own = [genome for genome in genomes if genome.label == label]
        for number in range(round(share * recipe.sample_reads)):
            genome = own[number % len(own)]
            place = int(rng.integers(len(genome.bases) - _INSERT[1]))
            reads.append(_fragment(genome, place, replace(recipe, mated=0.0), rng)[0])
    return [reads[place] for place in rng.permutation(len(reads))]


def quality(read: Read, rng: np.random.Generator) -> str:
    """Phred scores of a read as FASTQ writes them."""
    return (33 + rng.integers(*_QUALITY, len(read.sequence))).astype(np.uint8).tobytes().decode("ascii")


def _fragment(genome: Genome, place: int, recipe: MetagenomeRecipe, rng: np.random.Generator) -> list[Read]:
    mated = rng.random() < recipe.mated
    shortest, longest = recipe.lengths
    lengths = rng.integers(shortest, longest + 1, 2)
    span = int(rng.integers(*_INSERT)) if mated else int(lengths[0])
    forward = bool(rng.random() < 0.5)
    bases = genome.bases[place : place + span]
    bases = bases if forward else reverse_complement(bases)
    ends = [bases[: lengths[0]], reverse_complement(bases)[: lengths[1]]] if mated else [bases]
    name = f"{genome.name}_{place}_{'f' if forward else 'r'}"
    return [
        _read(name, mate if mated else None, genome, _with_errors(end, recipe.error_rate, rng), rng)
        for mate, end in enumerate(ends, start=1)
    ]


def _read(name: str, mate: int | None, genome: Genome, sequence: str, rng: np.random.Generator) -> Read:
    tax_id = None if rng.random() < _WITHOUT_FIELD else genome.label.tax_id
    declared = None if rng.random() < _WITHOUT_FIELD else len(sequence)
    return Read(name, mate, genome, genome.class_id, tax_id, declared, sequence)


def _with_errors(bases: Bases, rate: float, rng: np.random.Generator) -> str:
    bases = bases.copy()
    wrong = rng.random(len(bases)) < rate
    bases[wrong] = rng.choice(_LETTERS, int(wrong.sum()))
    return bases.tobytes().decode("ascii")


def _oddities(recipe: OddityRecipe) -> Iterator[tuple[str, Callable[[Read, np.random.Generator], Read]]]:
    """Each change as often as it is wanted."""
    changes = {
        "lower_case": lambda read, _: replace(read, sequence=read.sequence.lower()),
        "rna": lambda read, _: replace(read, sequence=read.sequence.replace("T", "U")),
        "unknown": lambda read, rng: _scattered(read, "N", int(rng.integers(1, 4)), rng),
        "ambiguous": lambda read, rng: _scattered(read, _CODES, int(rng.integers(1, 4)), rng),
        "mostly_unknown": lambda read, rng: _scattered(read, "N", len(read.sequence) * 2 // 5, rng),
        "short": lambda read, _: replace(read, sequence=read.sequence[:_SHORT], declared=_SHORT),
        "wrong_length": lambda read, _: replace(read, declared=len(read.sequence) + 1),
        "unmapped": lambda read, _: replace(read, class_id=UNMAPPED_CLASS),
    }
    for name, change in changes.items():
        for _ in range(getattr(recipe, name)):
            yield name, change


def _scattered(read: Read, symbols: str, number: int, rng: np.random.Generator) -> Read:
    """Some bases replaced by others' symbols."""
    letters = list(read.sequence)
    for place in rng.choice(len(letters), number, replace=False):
        letters[place] = symbols[int(rng.integers(len(symbols)))]
    return replace(read, sequence="".join(letters))
