"""Sequence as k-mers that no unknown base, end of a record or change of the split is within.

Blocks of each record are dealt to the splits (`genome.block_splits`), with a gap where the split changes. Within a
block, every run of A, C, G and T is read from its first base at each phase and, on the other strand, from its last;
what is left at its end is no whole k-mer. All readings of a block are of its split.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.tokenizers.kmer import encode_kmers
from glm_assets.genome.alphabet import reverse_complement
from glm_assets.genome.indexed_fasta import IndexedFasta
from glm_assets.genome.known_runs import known_runs
from glm_assets.language.token_store import Segment
from glm_assets.studies.plant.configuration import TokenSettings

FEWEST_TOKENS: Final = 2
"""One that is read and one that it predicts: a run with fewer is left out."""


@dataclass
class CutCounts:
    """What became of the bases in the first reading: the first phase of the forward strand.

    Attributes:
        read: Bases that are in tokens.
        dropped: Bases that are in none, by reason.
        unknown_runs: Runs of letters other than A, C, G and T.
    """

    read: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    unknown_runs: int = 0

    def drop(self, reason: str, bases: int) -> None:
        """Count bases that are in no token."""
        self.dropped[reason] = self.dropped.get(reason, 0) + bases


def readings(settings: TokenSettings, split: str) -> Iterator[tuple[str, int]]:
    """Strand and phase of each reading of a split's sequence, the first one first.

    What trains is read in every way that the values ask for; what validates and tests once, on the forward strand at
    the first phase, so that nothing counts twice in what is measured.
    """
    strands = "+-" if settings.reverse_complement and split == "train" else "+"
    phases = settings.phases if split == "train" else settings.phases[:1]
    return ((strand, phase) for strand in strands for phase in phases)


def strict_segments(
    fasta: IndexedFasta, blocks: pl.DataFrame, settings: TokenSettings, counts: CutCounts
) -> Iterator[Segment]:
    """The segments of all blocks; no more than one block is held.

    Args:
        fasta: The genome.
        blocks: From `block_splits`.
        settings: How blocks are read.
        counts: Are added to.
    """
    for name, reason in (("unknown", 0), ("short", 0), ("unfinished", 0)):
        counts.drop(name, reason)
    lengths = sum(fasta.lengths.values())
    counts.drop("gap", lengths - int((blocks["end"] - blocks["start"]).sum()))
    for contig, start, end, split in blocks.iter_rows():
        bases = fasta.fetch(contig, start, end)
        runs = known_runs([bases])
        counts.drop("unknown", len(bases) - int((runs[:, 1] - runs[:, 0]).sum()))
        counts.unknown_runs += _holes(runs, len(bases))
        for first, last in runs.tolist():
            yield from _run_segments(bases[first:last], contig, start + first, split, settings, counts)


def _run_segments(
    bases: NDArray[np.uint8], contig: str, start: int, split: str, settings: TokenSettings, counts: CutCounts
) -> Iterator[Segment]:
    """All readings of one run."""
    strands = {"+": bases, "-": reverse_complement(bases)}
    for number, (strand, phase) in enumerate(readings(settings, split)):
        codes, _ = encode_kmers(strands[strand], settings.k, phase)
        kept = len(codes) >= FEWEST_TOKENS
        read = len(codes) * settings.k if kept else 0
        if number == 0:
            counts.read += read
            counts.drop("unfinished" if kept else "short", len(bases) - read)
        if kept:
            first = start + (phase if strand == "+" else len(bases) - phase - read)
            yield Segment(contig, first, strand, split, [(codes, None)], phase)


def _holes(runs: NDArray[np.int64], length: int) -> int:
    """Runs of unknown bases around and between those of known ones."""
    edges = np.concatenate([[0], runs.reshape(-1), [length]])
    return int((edges[1::2] > edges[::2]).sum())
