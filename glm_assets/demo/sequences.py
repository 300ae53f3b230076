"""The contest-style test CSV: reference/variant pairs and mutation ladders, cut from the synthetic genome."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from glm_assets.demo.genome import Contig
from glm_assets.demo.recipe import DemoRecipe, SequenceRecipe, random_stream
from glm_assets.demo.records import Record


@dataclass(frozen=True)
class DemoSequence:
    """A row of the CSV and what is true of it.

    Attributes:
        name: Its `ID`.
        sequence: Its `seq`, upper-case A, C, G, T.
        group: The pair or ladder it belongs to.
        substitutions: Bases in which it differs from its group's first sequence; 0 for that one.
        label: 1 pathogenic or 0 benign for the variant of a pair, else None.
    """

    name: str
    sequence: str
    group: str
    substitutions: int
    label: int | None


def write_test_csv(
    genome: tuple[Contig, ...], records: Iterable[Record], recipe: DemoRecipe, csv_path: Path, truth_path: Path
) -> list[DemoSequence]:
    """Write `ID,seq` to `csv_path` in an order that tells nothing, and what is true of each row to `truth_path`.

    Args:
        genome: Contigs; those with genes are cut.
        records: Records that pairs are chosen from: labelled SNVs, half pathogenic and half benign.
        recipe: Seed and numbers.
        csv_path: The test CSV.
        truth_path: CSV with `ID,group,substitutions,label`.

    Returns:
        The rows in the order of the file.
    """
    rng = random_stream(recipe.seed, "sequences")
    rows = [*_pairs(records, recipe.sequences, rng), *_ladders(genome, recipe.sequences, rng)]
    rows = [replace(rows[old], name=f"TEST_{new:04d}") for new, old in enumerate(rng.permutation(len(rows)))]
    _write(csv_path, ("ID", "seq"), ((row.name, row.sequence) for row in rows))
    truth = ((row.name, row.group, row.substitutions, row.label) for row in rows)
    _write(truth_path, ("ID", "group", "substitutions", "label"), truth)
    return rows


def _pairs(records: Iterable[Record], recipe: SequenceRecipe, rng: np.random.Generator) -> list[DemoSequence]:
    """Windows around SNVs, the variant at index `length // 2 - 1`; the short ones end earlier."""
    index = recipe.length // 2 - 1
    by_window = {window: record for record in records if (window := _window(record, recipe.length))}
    rows = []
    for label in (1, 0):
        fitting = [found for found in by_window.items() if found[1].classification.label == label]
        for number in range(label, recipe.pairs + recipe.short_pairs, 2):
            window, record = fitting.pop(int(rng.integers(len(fitting))))
            length = recipe.length if number < recipe.pairs else recipe.length * 3 // 4
            variant = window[:index] + record.change.alt + window[index + 1 :]
            group = f"pair_{number:02d}"
            rows.append(DemoSequence("", window[:length], group, 0, None))
            rows.append(DemoSequence("", variant[:length], group, 1, label))
    return rows


def _ladders(genome: tuple[Contig, ...], recipe: SequenceRecipe, rng: np.random.Generator) -> list[DemoSequence]:
    """Base sequences with 1, 2, 4, ... of their positions substituted, each step keeping those before it."""
    contigs = [contig for contig in genome if contig.genes]
    rows = []
    for number in range(recipe.ladders):
        contig = contigs[number % len(contigs)]
        start = contig.genes[1].exons[0][0]
        base = contig.sequence[start : start + recipe.length]
        order = rng.permutation(recipe.length)
        mutated = {int(i): str(rng.choice([b for b in "ACGT" if b != base[i]])) for i in order}
        for step in (0, *(1 << power for power in range((recipe.length // 2).bit_length()))):
            changed = set(order[:step].tolist())
            sequence = "".join(mutated[i] if i in changed else letter for i, letter in enumerate(base))
            rows.append(DemoSequence("", sequence, f"ladder_{number:02d}", step, None))
    return rows


def _window(record: Record, length: int) -> str | None:
    """The reference window of a labelled SNV; None where it does not fit or holds N."""
    change, start = record.change, record.change.start - (length // 2 - 1)
    window = record.contig.sequence[max(start, 0) : start + length]
    is_snv = len(change.ref) == len(change.alt) == 1 and change.alt in "ACGT"
    if start < 0 or len(window) < length or "N" in window or not is_snv or record.gene is None:
        return None
    return window


def _write(path: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="ascii") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
