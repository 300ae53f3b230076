"""How much of what is held out is in train too, by the sketches of both, on either strand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, log2
from typing import Final

import numpy as np
import polars as pl

from glm_assets.genome.alphabet import reverse_complement, upper
from glm_assets.genome.indexed_fasta import IndexedFasta
from glm_assets.genome.long_kmers import sorted_once
from glm_assets.genome.sketch import KEPT_BITS, Hashes, K, sketch

_MOST_HASHES: Final = 16 << 20
"""Of train, in memory together: sketches of larger genomes are thinned."""
_BASES: Final = 4 << 20


@dataclass(frozen=True)
class Leak:
    """How much a held-out split has in common with train.

    Attributes:
        share: Of its sketch; None where it has none.
        unmasked: The same of k-mers without a lower-case base: what is not marked as a repeat.
        hashes: Of its sketch.
    """

    share: float | None
    unmasked: float | None
    hashes: int


def find_leaks(fasta: IndexedFasta, regions: pl.DataFrame) -> dict[str, Leak]:
    """Compare val and test with train.

    Args:
        fasta: The genome.
        regions: `contig`, `start`, `end` and `split` of stretches.

    Returns:
        By split, `val` and `test`.
    """
    train = regions.filter(pl.col("split") == "train")
    bases = int((train["end"] - train["start"]).sum())
    # Both strands, one k-mer in 2 ** KEPT_BITS.
    bits = max(0, ceil(log2(max(1, 2 * bases / 2**KEPT_BITS / _MOST_HASHES))))
    known = _distinct(fasta, train, bits, strands=2)
    found = {}
    for split in ("val", "test"):
        part = regions.filter(pl.col("split") == split)
        every, unmasked = (_distinct(fasta, part, bits, masked=masked) for masked in (True, False))
        found[split] = Leak(_share(every, known), _share(unmasked, known), len(every))
    return found


def _share(hashes: Hashes, known: Hashes) -> float | None:
    """Share of some distinct hashes that are known, which ascend."""
    if not len(hashes):
        return None
    return float(np.isin(hashes, known, assume_unique=True).mean())


def _distinct(
    fasta: IndexedFasta, regions: pl.DataFrame, bits: int, *, strands: int = 1, masked: bool = True
) -> Hashes:
    """The hashes of stretches, each once, ascending; of those that begin with so many more zeros."""
    parts = [np.empty(0, np.uint64)]
    for contig, start, end in regions.select("contig", "start", "end").iter_rows():
        for first in range(start, end, _BASES):
            bases = fasta.fetch(contig, first, min(first + _BASES + K - 1, end))
            bases = upper(bases) if masked else bases
            parts += [_thinned(sketch(strand)[1], bits) for strand in _strands(bases, strands)]
    return sorted_once(np.concatenate(parts))


def _strands(bases: np.ndarray, strands: int) -> Iterator[np.ndarray]:
    yield bases
    if strands > 1:
        yield reverse_complement(bases)


def _thinned(hashes: Hashes, bits: int) -> Hashes:
    return hashes[hashes >> np.uint64(64 - KEPT_BITS - bits) == 0]
