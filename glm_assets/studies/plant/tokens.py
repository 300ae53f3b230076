"""Bringing a species' tokens up to date: its sequence as k-mers, and which of them train, choose and test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from glm_assets.genome.block_splits import block_splits
from glm_assets.genome.indexed_fasta import IndexedFasta
from glm_assets.genome.intervals import merge_intervals
from glm_assets.genome.splits import SPLITS
from glm_assets.language.token_store import Segment, TokenStore, write_store
from glm_assets.language.windows import overlap_step, stepped_windows
from glm_assets.sources.genome_files import FASTA
from glm_assets.sources.progress import Ticker
from glm_assets.storage.products import Facts, Manifest
from glm_assets.studies.plant.configuration import PlantConfiguration
from glm_assets.studies.plant.cutting import CutCounts, strict_segments
from glm_assets.studies.plant.faithful_cutting import chunk_splits, faithful_segments
from glm_assets.studies.plant.study import PlantStudy

Progress = Callable[[str], None]


def make_tokens(study: PlantStudy, species: str, progress: Progress) -> Manifest:
    """Write the tokens of a species.

    Args:
        study: The study.
        species: Name of the species.
        progress: Called with a line now and then.

    Raises:
        SettingsError: The genome has too few blocks or chunks for three splits.
    """

    def build(work: Path) -> Facts:
        fasta, counts = IndexedFasta(study.files("genome", species) / FASTA), CutCounts()
        settings = study.values.tokens
        store = write_store(
            _told(_segments(study.values, fasta, counts), counts, fasta, progress),
            work,
            dtype=np.uint16,
            vocabulary_size=4**settings.k,
            bases_per_token=settings.k,
            covers_ends=settings.cut == "strict",
        )
        return _facts(study.values, store, fasta, counts)

    return study.tokens(species).make(build)


def _segments(values: PlantConfiguration, fasta: IndexedFasta, counts: CutCounts) -> Iterator[Segment]:
    split = values.split
    if values.tokens.cut == "faithful":
        return faithful_segments(fasta, chunk_splits(fasta, split, values.seed), values.tokens, counts)
    blocks = block_splits(
        fasta.lengths,
        block=split.block_bases,
        gap=split.gap_bases,
        val=split.val,
        test=split.test,
        seed=values.seed,
    )
    return strict_segments(fasta, blocks, values.tokens, counts)


def _told(
    segments: Iterator[Segment], counts: CutCounts, fasta: IndexedFasta, progress: Progress
) -> Iterator[Segment]:
    """The segments, with a line now and then."""
    ticker, total = Ticker(progress), sum(fasta.lengths.values())
    for segment in segments:
        ticker.tick(lambda: f"{counts.read:,} of {total:,} bases are tokens")
        yield segment


def _facts(
    values: PlantConfiguration, store: TokenStore, fasta: IndexedFasta, counts: CutCounts
) -> dict[str, Any]:
    context = values.model.context
    step = overlap_step(context, values.training.overlap)
    tokens = {name: store.segments.filter(pl.col("split") == name)["tokens"].to_numpy() for name in SPLITS}
    return {
        "tokens": {name: int(of.sum()) for name, of in tokens.items()},
        "segments": {name: len(of) for name, of in tokens.items()},
        "context": context,
        "windows": {
            name: int(stepped_windows(of, context, step, cover_ends=store.card.covers_ends).sum())
            for name, of in tokens.items()
        },
        "tokens_of_segments_without_window": {name: int(of[of <= context].sum()) for name, of in tokens.items()},
        "records": len(fasta.names),
        "bases": sum(fasta.lengths.values()),
        "bases_read": counts.read,
        "bases_dropped": counts.dropped,
        "unknown_runs": counts.unknown_runs,
        "bases_in_two_splits": bases_in_two_splits(store.segments, values.tokens.k),
    }


def bases_in_two_splits(segments: pl.DataFrame, k: int) -> int:
    """Bases of a genome that tokens of more than one split read, whatever their strand and phase.

    Args:
        segments: Of a store, as in `token_store.SEGMENT_SCHEMA`.
        k: Bases of a token.
    """
    read = segments.with_columns(end=pl.col("start") + k * pl.col("tokens"))
    of_splits = sum(_bases(part) for _, part in read.group_by("contig", "split"))
    return of_splits - sum(_bases(part) for _, part in read.group_by("contig"))


def _bases(stretches: pl.DataFrame) -> int:
    first, last = merge_intervals(stretches["start"].to_numpy(), stretches["end"].to_numpy())
    return int((last - first).sum())
