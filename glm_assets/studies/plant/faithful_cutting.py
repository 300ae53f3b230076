"""Sequence as k-mers the way the original cuts it: N deleted, records joined, whole chunks of 1,200,000 bases alone.

K-mers that never were arise where an N was or a record ended; the last chunk, and any genome below one, is lost; and a
k-mer with a letter other than A, C, G and T is passed over, its neighbours joined. All of a species' files are one
sequence here, in their order.

One thing is not as it was: the original's later split gives window i of a chunk to a split by i mod 10, and windows
overlap by half, so that half of what it tests on is in windows that it trained on. Here whole chunks are dealt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.tokenizers.kmer import encode_kmers
from glm_assets.errors import SettingsError
from glm_assets.genome.alphabet import reverse_complement, upper
from glm_assets.genome.block_splits import block_splits
from glm_assets.genome.indexed_fasta import IndexedFasta
from glm_assets.language.token_store import Segment
from glm_assets.studies.plant.configuration import SplitSettings, TokenSettings
from glm_assets.studies.plant.cutting import CutCounts, readings

CHUNK: Final = 1_200_000
JOINED: Final = "joined"
"""The one contig; its places are those of the joined sequence without N."""

_FETCHED = 1 << 22
_FEWEST_CHUNKS = 3


def chunk_splits(fasta: IndexedFasta, split: SplitSettings, seed: int) -> pl.DataFrame:
    """Deal the whole chunks of a genome to the splits.

    Raises:
        SettingsError: There are fewer than three.
    """
    chunks = sum(len(bases) for bases in _without_n(fasta)) // CHUNK
    if chunks < _FEWEST_CHUNKS:
        raise SettingsError(
            f"{fasta.path.name} has {chunks} whole chunks of {CHUNK:,} bases, N left out",
            expected=f"at least {_FEWEST_CHUNKS}, one for each split",
            fix="set tokens.cut to strict in the YAML file of GLM_PLANT",
        )
    return block_splits({JOINED: chunks * CHUNK}, block=CHUNK, gap=0, val=split.val, test=split.test, seed=seed)


def faithful_segments(
    fasta: IndexedFasta, blocks: pl.DataFrame, settings: TokenSettings, counts: CutCounts
) -> Iterator[Segment]:
    """A segment for each chunk; no more than a few million bases are held.

    Args:
        fasta: The genome.
        blocks: From `chunk_splits`.
        settings: How chunks are read.
        counts: Are added to.
    """
    for reason in ("n", "unknown", "last_chunk"):
        counts.drop(reason, 0)
    for (_, start, _, split), bases in zip(blocks.iter_rows(), _chunks(fasta, counts), strict=True):
        for number, (strand, phase) in enumerate(readings(settings, split)):
            codes, known = encode_kmers(reverse_complement(bases) if strand == "-" else bases, settings.k, phase)
            if number == 0:
                read = int(known.sum()) * settings.k
                counts.read += read
                counts.drop("unknown", len(codes) * settings.k - read)
                counts.drop("unfinished", len(bases) - len(codes) * settings.k)
            yield Segment(JOINED, start, strand, split, [(codes[known], None)], phase)


def _chunks(fasta: IndexedFasta, counts: CutCounts) -> Iterator[NDArray[np.uint8]]:
    """Whole chunks of the joined records."""
    buffered: list[NDArray[np.uint8]] = []
    waiting, kept = 0, 0
    for bases in _without_n(fasta):
        buffered.append(bases)
        waiting += len(bases)
        kept += len(bases)
        if waiting >= CHUNK:
            joined = np.concatenate(buffered)
            whole = waiting // CHUNK * CHUNK
            yield from joined[:whole].reshape(-1, CHUNK)
            buffered, waiting = [joined[whole:]], waiting - whole
    counts.drop("n", sum(fasta.lengths.values()) - kept)
    counts.drop("last_chunk", waiting)


def _without_n(fasta: IndexedFasta) -> Iterator[NDArray[np.uint8]]:
    """All records, some bases at a time, in upper case."""
    for contig, length in fasta.lengths.items():
        for start in range(0, length, _FETCHED):
            bases = fasta.fetch(contig, start, min(start + _FETCHED, length))
            yield upper(np.frombuffer(bases.tobytes().translate(None, b"Nn"), np.uint8))
