"""Train, val and test for windows of one contig, decided by MD5 so that no seed and no row order matters.

`faithful` hashes each window start and lets neighbouring windows fall apart, as the original pipeline does (GitHub
Shim-Min-Kyoung/Dacon-2-Medical-AI-MAI-). `locus` keeps windows that overlap or are equal together, `gene` windows of a
gene besides (see `joined_windows`); `chromosome` takes whole chromosomes, and `temporal` tests what is new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import SettingsError
from glm_assets.genome.contigs import CHROMOSOMES
from glm_assets.genome.intervals import Positions, overlap_components

SPLITS: Final = ("train", "val", "test")

LOCUS_BIN: Final = 256
"""Loci are hashed by the genomic bin, of this many bases, in which they begin: larger bins keep more loci in their
split when a release adds variants on their left, smaller ones give small regions more keys to fall apart by."""

JOINING_RULES: Final = ("locus", "gene", "temporal")
"""Rules that keep windows together across X and Y, whose pseudoautosomal regions are one sequence."""

SplitName = Literal["locus", "gene", "chromosome", "temporal", "faithful"]
Splits = NDArray[np.str_]


@dataclass(frozen=True)
class SplitRule:
    """How windows are split.

    Args:
        name: `locus` (by windows that overlap or are equal), `gene` (by gene besides), `chromosome`, `temporal` (new
            variants test, the others by locus) or `faithful` (by window start).
        train: Per cent of the keys that train.
        val: Per cent of the keys that validate; the rest tests.
        test_chromosomes: Rule `chromosome`: those that test.
        val_chromosomes: Rule `chromosome`: those that validate; the rest trains.

    Raises:
        SettingsError: The name is unknown, the shares are not percentages or the chromosomes leave no split.
    """

    name: SplitName = "locus"
    train: int = 80
    val: int = 10
    test_chromosomes: tuple[str, ...] = ()
    val_chromosomes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in get_args(SplitName):
            raise SettingsError(f"Unknown split rule {self.name!r}", expected=", ".join(get_args(SplitName)))
        if min(self.train, self.val) < 0 or self.train + self.val > 100:
            raise SettingsError(
                f"Split shares of {self.train} % train and {self.val} % val",
                expected="shares of at least 0 that leave 0 to 100 % for test",
            )
        if self.name == "chromosome":
            check_chromosome_sides(self.test_chromosomes, self.val_chromosomes, ())

    def side(self, chrom: str) -> str:
        """The split of a whole chromosome under the rule `chromosome`."""
        return _side(chrom, self.test_chromosomes, self.val_chromosomes)


def check_chromosome_sides(test: Sequence[str], val: Sequence[str], chromosomes: Sequence[str]) -> None:
    """Refuse chromosomes that cannot be the sides of the rule `chromosome`.

    Args:
        test: Chromosomes that test.
        val: Chromosomes that validate.
        chromosomes: Those of the study; X and Y may be apart when one of them is not of it.

    Raises:
        SettingsError: A side is empty, a chromosome is unknown or on both sides, or X and Y are apart: they share the
            genes and the sequence of their pseudoautosomal regions.
    """
    for key, names in (("test_chromosomes", test), ("val_chromosomes", val)):
        if unknown := [name for name in names if name not in CHROMOSOMES]:
            raise SettingsError(
                f"split.{key} names {unknown[0]!r}", expected=f"chromosomes out of {', '.join(CHROMOSOMES)}"
            )
        if not names:
            raise SettingsError(
                f"split.{key} is empty under the rule chromosome", expected="at least one chromosome"
            )
    if both := sorted(set(test) & set(val)):
        raise SettingsError(
            f"chromosome {', '.join(both)} is in split.test_chromosomes and in split.val_chromosomes",
            expected="each chromosome in one of them at most",
        )
    if {"X", "Y"} <= set(chromosomes) and _side("X", test, val) != _side("Y", test, val):
        raise SettingsError(
            f"chromosome X is in {_side('X', test, val)} and Y in {_side('Y', test, val)}",
            expected="both in one split: they share the genes and bases of their pseudoautosomal regions",
            fix="name both or neither in split.test_chromosomes and in split.val_chromosomes",
        )


def _side(chrom: str, test: Sequence[str], val: Sequence[str]) -> str:
    if chrom in test:
        return "test"
    return "val" if chrom in val else "train"


def md5_split(labels: Sequence[str], *, train: int = 80, val: int = 10) -> Splits:
    """Split strings by the first 8 hex digits of their MD5, modulo 100.

    Args:
        labels: ASCII strings; equal strings fall in the same split.
        train: Residues below this one are `train`.
        val: The next so many residues are `val`; the rest is `test`.

    Returns:
        (n,) array of `train`, `val` and `test`.
    """
    residues = np.fromiter((_residue(label) for label in labels), dtype=np.int64, count=len(labels))
    return np.asarray(SPLITS)[np.searchsorted([train, train + val], residues, side="right")]


def split_by_window(contig_name: str, starts: Positions, *, train: int = 80, val: int = 10) -> Splits:
    """Split windows by their exact start, the original pipeline's rule.

    The key is `<contig>:<1-based start>`. Windows one base apart may fall in different splits: they leak.

    Args:
        contig_name: The FASTA's own name, such as `NC_000013.11`.
        starts: (n,) 0-based window starts.
        train: Per cent of the keys that train.
        val: Per cent of the keys that validate.
    """
    distinct, inverse = np.unique(starts, return_inverse=True)
    keys = [f"{contig_name}:{start + 1}" for start in distinct.tolist()]
    return md5_split(keys, train=train, val=val)[inverse]


def split_by_locus(
    chrom: str, starts: Positions, ends: Positions, *, train: int = 80, val: int = 10
) -> tuple[Positions, Splits]:
    """Split windows so that no two that overlap are in different splits.

    A locus is a connected component of overlapping windows. It is hashed by `<chrom>:<first start // LOCUS_BIN>`:
    a newer release changes the key only when it carries the first start into another bin (a locus that grows to
    the left or merges with its left neighbour), not whenever the first window changes. Loci that begin in one bin
    share a split.

    Args:
        chrom: Chromosome key, such as `13`.
        starts: (n,) 0-based window starts, in any order.
        ends: (n,) positions after the windows' last base.
        train: Per cent of the keys that train.
        val: Per cent of the keys that validate.

    Returns:
        The locus of each window, named by the 0-based start of the locus, and its split.
    """
    components = overlap_components(starts, ends)
    locus_starts = np.full(int(components.max(initial=-1)) + 1, np.iinfo(np.int64).max, dtype=np.int64)
    np.minimum.at(locus_starts, components, starts)
    keys = [f"{chrom}:{start // LOCUS_BIN}" for start in locus_starts.tolist()]
    return locus_starts[components], md5_split(keys, train=train, val=val)[components]


def _residue(label: str) -> int:
    return int(hashlib.md5(label.encode("ascii"), usedforsecurity=False).hexdigest()[:8], 16) % 100
