"""Stretches of a genome as bytes: which of their bases are tokens, which count, and on which strands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.genome.alphabet import reverse_complement, upper
from glm_assets.genome.indexed_fasta import IndexedFasta
from glm_assets.genome.known_runs import known_runs
from glm_assets.language.token_store import Chunk, Segment
from glm_assets.sources.progress import Progress, Ticker
from glm_assets.studies.sugarcane.configuration import ShardSettings

_CHUNK = 1 << 22
_FIRST_LOWER: Final = ord("a")
_STRANDS = "+-"


@dataclass(frozen=True)
class Stretch:
    """A stretch of a contig that is read on one strand; 0-based and half-open."""

    contig: str
    start: int
    end: int
    strand: str
    split: str


@dataclass
class BaseCounts:
    """What became of the bases, each counted once however many strands are read.

    Attributes:
        bases: That are tokens.
        masked: Lower-case ones among them.
        unknown: Bases other than A, C, G and T: left out, or tokens where they are kept.
        short_pieces: Pieces between unknown ones that are too short.
        short_bases: Their bases.
    """

    bases: int = 0
    masked: int = 0
    unknown: int = 0
    short_pieces: int = 0
    short_bases: int = 0


@dataclass
class ByteCutter:
    """Cuts stretches of a genome into pieces of tokens; no more than a few million bases are held.

    Attributes:
        fasta: The genome, whose U are T already.
        settings: What is left out, and what counts.
        counts: Of what was cut so far.
    """

    fasta: IndexedFasta
    settings: ShardSettings
    counts: BaseCounts = field(default_factory=BaseCounts)

    def segments(self, stretches: Sequence[Stretch], progress: Progress) -> Iterator[Segment]:
        """The pieces of all stretches on their own strand, then those that train on the other one.

        The strands lie apart: next to its reverse complement a sequence could be copied, not learnt.
        """
        ticker = Ticker(progress)
        pieces = [self._pieces(stretch) for stretch in stretches]
        for other in (False, True) if self.settings.reverse_complement == "both" else (False,):
            for stretch, runs in zip(stretches, pieces, strict=True):
                if other and stretch.split != "train":
                    continue
                ticker.tick(lambda: f"{self.counts.bases:,} bases are tokens")
                turned = (stretch.strand == "-") != other
                for start, end in runs.tolist():
                    chunks = self._chunks(stretch.contig, start, end, turned=turned, is_first=not other)
                    yield Segment(stretch.contig, start, _STRANDS[turned], stretch.split, chunks)

    def _pieces(self, stretch: Stretch) -> NDArray[np.int64]:
        """(p, 2) what is read of a stretch."""
        runs = known_runs(
            self.fasta.fetch(stretch.contig, start, end)
            for start, end in _parts(stretch.start, stretch.end, turned=False)
        )
        lengths = runs[:, 1] - runs[:, 0]
        self.counts.unknown += stretch.end - stretch.start - int(lengths.sum())
        if self.settings.unknown == "keep":
            return np.array([[stretch.start, stretch.end]])
        short = lengths < self.settings.min_bases
        self.counts.short_pieces += int(short.sum())
        self.counts.short_bases += int(lengths[short].sum())
        return runs[~short] + stretch.start

    def _chunks(self, contig: str, start: int, end: int, *, turned: bool, is_first: bool) -> Iterator[Chunk]:
        for first, last in _parts(start, end, turned=turned):
            bases = self.fasta.fetch(contig, first, last)
            masked = bases >= _FIRST_LOWER
            if is_first:
                self.counts.bases += len(bases)
                self.counts.masked += int(masked.sum())
            ids = bases if self.settings.soft_mask == "keep" else upper(bases)
            counted = ~masked if self.settings.soft_mask == "unweighted" else None
            if turned:
                ids, counted = reverse_complement(ids), None if counted is None else counted[::-1]
            yield ids, counted


def _parts(start: int, end: int, *, turned: bool) -> list[tuple[int, int]]:
    """A stretch in parts that are read one after the other."""
    parts = [(first, min(first + _CHUNK, end)) for first in range(start, end, _CHUNK)]
    return parts[::-1] if turned else parts
