"""Which examples must stay in one split, and in which split they are; decided before any balancing."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from glm_assets.genome.intervals import Positions
from glm_assets.genome.joined_windows import ChromosomeWindows, connected_rows, join_windows
from glm_assets.genome.splits import md5_split
from glm_assets.studies.impact.configuration import SplitSettings

LEAKS: Final = {"groups": "group", "reads": "read_name", "sequences": "sequence"}
"""What must not be in two splits, and the column that has it."""

_FIRST_KEPT: Final = ("train", "test", "val")


def split_examples(examples: pl.DataFrame, settings: SplitSettings, *, chrom: str, length: int) -> pl.DataFrame:
    """Group and split the examples of one chromosome.

    Whatever the rule, examples that share a read or a sequence are of one group. Besides, these are: examples of one
    variant (`variant`); of variants whose reads can share a base, at most two lengths apart (`locus`); of one gene
    as well (`gene`); all of them (`chromosome`). Joining is transitive.

    Args:
        examples: Rows with `pos`, `ref`, `alt`, `gene`, `read_name` and `sequence`; none is fine.
        settings: The rule, and per cent of the groups that validate and test.
        chrom: Chromosome key, such as `17`.
        length: Bases of an example.

    Returns:
        The rows in their order with `group` and `split` (`train`, `val` or `test`: by the MD5 of the group's name, so
        that no seed and no order matters).
    """
    groups = _groups(examples, settings.by, chrom, length)
    splits = md5_split(groups, train=100 - settings.val - settings.test, val=settings.val)
    return examples.with_columns(
        pl.Series("group", groups, dtype=pl.String), pl.Series("split", splits.tolist(), dtype=pl.String)
    )


def leaks(examples: pl.DataFrame) -> dict[str, int]:
    """Count the groups, reads and sequences that are in more than one split; all are 0 in a split without leaks.

    Args:
        examples: Rows with `group`, `read_name`, `sequence` and `split`, of any number of chromosomes.
    """
    return {
        name: examples.group_by(column).agg(pl.col("split").n_unique()).filter(pl.col("split") > 1).height
        for name, column in LEAKS.items()
    }


def without_shared(examples: pl.DataFrame) -> pl.DataFrame:
    """Leave out held-out examples whose read or sequence is in another split on another chromosome.

    Chromosomes are split one by one, and hold equal reads all the same: X and Y in their pseudoautosomal regions,
    any two in repeats. Examples that train stay; one that tests stays where the other validates.

    Args:
        examples: Rows with `chrom`, `read_name`, `sequence` and `split`, of any number of chromosomes.

    Returns:
        The rows that stay, in their order. What is in two splits of one chromosome stays too, for `leaks` to tell.
    """
    rank = pl.col("split").replace_strict({name: rank for rank, name in enumerate(_FIRST_KEPT)})
    shared = [
        rank.min().over(column, "chrom") > rank.min().over(column)
        for column in (LEAKS["reads"], LEAKS["sequences"])
    ]
    return examples.filter(~pl.any_horizontal(shared))


def _groups(examples: pl.DataFrame, by: str, chrom: str, length: int) -> list[str]:
    if by == "chromosome" or examples.is_empty():
        return [chrom] * examples.height
    same_bases = _joined(examples, ["read_name"], ["sequence"])
    if by == "variant":
        return _by_variant(examples, chrom)
    start = examples["pos"].to_numpy() - 1
    part = ChromosomeWindows(
        chrom,
        starts=start - length,
        ends=start + length,
        digests=[str(number) for number in same_bases.tolist()],
        genes=[[gene] if gene else [] for gene in examples["gene"].to_list()],
    )
    return join_windows([part], by_gene=by == "gene")[0].tolist()


def _by_variant(examples: pl.DataFrame, chrom: str) -> list[str]:
    """Name each component after its first variant."""
    components = _joined(examples, ["pos", "ref", "alt"], ["read_name"], ["sequence"])
    keys = pl.format(f"{chrom}:{{}}:{{}}>{{}}", "pos", "ref", "alt")
    named = examples.select("pos", "ref", "alt", name=keys, component=pl.Series(components))
    first = pl.col("name").sort_by("pos", "ref", "alt").first().over("component")
    return named.select(first)["name"].to_list()


def _joined(examples: pl.DataFrame, *keys: list[str]) -> Positions:
    """Components of rows that share the value of any of the keys."""
    rows = np.arange(examples.height)
    return connected_rows(rows.size, [(rows, _numbers(examples, key)) for key in keys])


def _numbers(examples: pl.DataFrame, key: list[str]) -> Positions:
    return examples.select(pl.struct(key).rank("dense")).to_series().to_numpy().astype(np.int64) - 1
