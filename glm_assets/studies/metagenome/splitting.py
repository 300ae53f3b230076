"""Which reads train, choose and test: whole source genomes, so that none is on two sides and mates stay together.

A file's declared split holds for its genomes. The others fall by the MD5 of their name, so that no seed and no order
matters and a new genome moves no other; only where a label would lack a side, one of its genomes is moved there.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import polars as pl

from glm_assets.errors import FormatError
from glm_assets.genome.splits import SPLITS, md5_split
from glm_assets.studies.metagenome.configuration import SplitSettings

_SHOWN = 5


@dataclass(frozen=True)
class GenomeSplit:
    """Reads and where they belong.

    Attributes:
        frame: One row per read, in the order given: `read`, `genome`, `label_index`, `split`.
        warnings: What a person should know: labels without a side, and what became of the declared splits.
    """

    frame: pl.DataFrame
    warnings: tuple[str, ...]


def split_genomes(reads: pl.DataFrame, settings: SplitSettings) -> GenomeSplit:
    """Split reads by their source genomes.

    - A genome with reads in a file that declares a split is there with all its reads, those of other files too.
    - The others are split by MD5 in the shares asked for. Every label with a genome for each side that is asked for has
      one there; a label with fewer genomes trains with all of them.
    - Where files declare train and val but none test, every genome is declared, and `test` is not 0, the genomes of val
      are divided between val and test in the ratio of their shares; a label with one genome keeps it in val.

    Args:
        reads: Columns `read`, `genome`, `label`, `label_index` and `file_split` of the table `metagenome_reads`.
        settings: Shares, in per cent of the genomes.

    Raises:
        FormatError: Files put a genome in two splits; the message names the first ones.
    """
    declared = _declared(reads)
    labels = _genomes_by_label(reads)
    free = {label: [genome for genome in genomes if genome not in declared] for label, genomes in labels.items()}
    shares = {"train": 100 - settings.val - settings.test, "val": settings.val, "test": settings.test}
    warnings: list[str] = []
    if any(free.values()):
        sides, short = _assign(free, shares)
        place = {**declared, **sides}
        named = [label for label in short if not any(genome in declared for genome in labels[label])]
        warnings += [
            f"{label}: {len(labels[label])} genome(s) do not reach for every split; all train" for label in named
        ]
    else:
        place, said = _divided(labels, declared, shares)
        warnings += said
    warnings += _absent_labels(labels, place)
    split = pl.col("genome").replace_strict(place, return_dtype=pl.String).alias("split")
    return GenomeSplit(reads.select("read", "genome", "label_index", split), tuple(warnings))


def split_figures(reads: pl.DataFrame) -> pl.DataFrame:
    """Count reads, genomes and leaks of each label and split.

    Args:
        reads: Columns `label`, `genome`, `split` and `leaks`.

    Returns:
        Columns label, split, reads, genomes, leaks and leak_share, sorted by label and split (train, val, test).
    """
    order = pl.col("split").replace_strict(
        {name: place for place, name in enumerate(SPLITS)}, return_dtype=pl.Int8
    )
    leaks = pl.col("leaks").sum().cast(pl.Int64)
    grouped = reads.group_by("label", "split").agg(
        pl.len().cast(pl.Int64).alias("reads"),
        pl.col("genome").n_unique().cast(pl.Int64).alias("genomes"),
        leaks.alias("leaks"),
        (leaks / pl.len()).alias("leak_share"),
    )
    return grouped.sort("label", order)


def _declared(reads: pl.DataFrame) -> dict[str, str]:
    """Split of each genome that a file declares one for."""
    found = (
        reads.filter(pl.col("file_split").is_not_null())
        .group_by("genome")
        .agg(pl.col("file_split").unique().sort())
        .sort("genome")
    )
    torn = found.filter(pl.col("file_split").list.len() > 1)
    if torn.height:
        first = ", ".join(f"{genome} ({' and '.join(splits)})" for genome, splits in torn.head(_SHOWN).iter_rows())
        raise FormatError(
            f"{torn.height} source genome(s) have reads in files of different splits: {first}",
            expected="the reads of a genome in files of one split",
            fix="leave out the splits of the files, or let the group of reads.genome name smaller pieces,"
            " such as ^(.+_[0-9]*?)[0-9]{1,3}_[fr]$ for pieces of 1,000 bases",
        )
    return {genome: splits[0] for genome, splits in found.iter_rows()}


def _genomes_by_label(reads: pl.DataFrame) -> dict[str, list[str]]:
    pairs = reads.select("label", "genome").unique().group_by("label").agg(pl.col("genome").sort()).sort("label")
    return dict(pairs.iter_rows())


def _divided(
    labels: dict[str, list[str]], declared: dict[str, str], shares: dict[str, int]
) -> tuple[dict[str, str], list[str]]:
    """The declared splits, with those of val divided if nothing tests."""
    if "val" not in declared.values() or "test" in declared.values() or not shares["test"]:
        return declared, []
    held_out = {
        label: [genome for genome in genomes if declared[genome] == "val"] for label, genomes in labels.items()
    }
    both = {"val": shares["val"], "test": shares["test"]}
    sides, short = _assign(held_out, both)
    said = ["no file declares test: the genomes of val are divided between val and test"]
    said += [f"{label}: one genome in val, which keeps it; none tests" for label in short if held_out[label]]
    return {**declared, **sides}, said


def _assign(labels: dict[str, list[str]], shares: dict[str, int]) -> tuple[dict[str, str], list[str]]:
    """Put genomes on sides by the MD5 of their names.

    Args:
        labels: Genomes of each label; a genome may have several.
        shares: Share of each side, in any unit; those of 0 are no sides. The first takes labels that have too few.

    Returns:
        The side of each genome, and the labels with fewer genomes than sides.
    """
    wanted = [side for side, share in shares.items() if share]
    short = [label for label, genomes in labels.items() if len(genomes) < len(wanted)]
    fixed = {genome for label in short for genome in labels[label]}
    genomes = sorted({genome for members in labels.values() for genome in members})
    place = dict(zip(genomes, _sides(genomes, shares), strict=True)) | dict.fromkeys(fixed, wanted[0])
    for label, members in labels.items():
        if label not in short:
            _fill_sides(members, wanted, place, fixed)
    return place, short


def _sides(genomes: Sequence[str], shares: dict[str, int]) -> list[str]:
    """Side of each genome, by residues of 100 in the order of the sides."""
    names, total = list(shares), sum(shares.values())
    percents = [round(100 * share / total) for share in shares.values()]
    # md5_split names the ranges train, val and test; with two sides the last of the three is empty.
    first = percents[0]
    second = percents[1] if len(names) == len(SPLITS) else 100 - first
    ranges = md5_split([_ascii(genome) for genome in genomes], train=first, val=second).tolist()
    return [names[SPLITS.index(name)] for name in ranges]


def _fill_sides(members: list[str], wanted: list[str], place: dict[str, str], fixed: Collection[str]) -> None:
    """Move a genome to each side where the label has none: that of the smallest MD5, from its most frequent side."""
    for side in wanted:
        counts = Counter(place[genome] for genome in members)
        if counts[side]:
            continue
        donor = max(wanted, key=lambda name: (counts[name], -wanted.index(name)))
        movable = [genome for genome in members if place[genome] == donor and genome not in fixed]
        if counts[donor] > 1 and movable:
            place[min(movable, key=lambda genome: (_digest(genome), genome))] = side


def _absent_labels(labels: dict[str, list[str]], place: dict[str, str]) -> list[str]:
    """Labels that are held out but never trained: nothing can learn them."""
    untrained = [label for label, genomes in labels.items() if all(place[genome] != "train" for genome in genomes)]
    return [f"{label}: no genome trains, so that no read of it can be told" for label in untrained]


def _ascii(genome: str) -> str:
    return genome.encode("ascii", "backslashreplace").decode("ascii")


def _digest(genome: str) -> str:
    return hashlib.md5(genome.encode("utf-8"), usedforsecurity=False).hexdigest()
