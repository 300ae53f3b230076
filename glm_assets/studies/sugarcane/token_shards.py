"""Bringing the token shards up to date: bytes of a genome or of its units, ready to be cut to any context.

A token is the byte of a base, as Evo2 reads it. After each piece comes the end token, byte 0, where the values ask for
it: it is never a target of the loss, for nothing in a sequence tells where a run of unknown bases, a split or a unit
ends; the first base after it is one, as it is in scoring, which begins with the same token. Without end tokens that
base is no target, because the tokens before it are of another sequence.

Both strands are read of what trains. Validation and test are read once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from glm_assets.encoders.tokenizers.byte import ByteTokenizer
from glm_assets.genome.indexed_fasta import IndexedFasta
from glm_assets.genome.splits import SPLITS
from glm_assets.language.token_store import TokenStore, write_store
from glm_assets.sources.genome_files import FASTA
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_sugarcane import REGIONS
from glm_assets.storage.tables import read_part
from glm_assets.studies.sugarcane.byte_tokens import BaseCounts, ByteCutter, Stretch
from glm_assets.studies.sugarcane.study import SugarcaneStudy

Progress = Callable[[str], None]

END_ID: Final = 0
"""Evo2's end of a document, which is its start token too."""

_END = "end"
_CODES = "ACGTRYKMSWBDHVN"
_VOCABULARY = (*_CODES, *_CODES.lower(), _END)


def make_token_shards(study: SugarcaneStudy, variety: str, progress: Progress) -> Manifest:
    """Write the tokens of a variety.

    Args:
        study: The study.
        variety: Name of the variety.
        progress: Called with a line now and then.
    """

    def build(work: Path) -> Facts:
        settings = study.values.shards
        fasta = IndexedFasta(study.files("genome", variety) / FASTA)
        cutter = ByteCutter(fasta, settings)
        store = write_store(
            cutter.segments(stretches(study, variety, fasta), progress),
            work,
            dtype=np.uint8,
            vocabulary_size=ByteTokenizer.vocabulary_size,
            bases_per_token=1,
            end_id=END_ID if settings.end_token else None,
        )
        return _facts(store, cutter.counts)

    return study.token_shards(variety).make(build)


def stretches(study: SugarcaneStudy, variety: str, fasta: IndexedFasta) -> list[Stretch]:
    """What is read: whole regions, or units on their strand, within their contigs."""
    folder = study.files("units", variety)
    if study.values.shards.source == "genome":
        table = pl.read_parquet(folder / REGIONS.file_name).with_columns(strand=pl.lit("+"))
    else:
        table = read_part(folder).filter(pl.col("split").is_not_null())
        # The original reads a unit as the genome has it, whatever strand its gene is on.
        if study.values.units.coordinates == "faithful":
            table = table.with_columns(strand=pl.lit("+"))
    return [
        Stretch(contig, max(0, start), min(end, fasta.lengths[contig]), strand, split)
        for contig, start, end, strand, split in table.select(
            "contig", "start", "end", "strand", "split"
        ).iter_rows()
        if start < fasta.lengths[contig]
    ]


def _facts(store: TokenStore, counts: BaseCounts) -> dict[str, Any]:
    by_split = {name: store.segments.filter(pl.col("split") == name) for name in SPLITS}
    tokens = {name: int(of["tokens"].sum()) for name, of in by_split.items()}
    letters = {_letter(token): int(count) for token, count in enumerate(store.histogram()) if count}
    return {
        "tokens": tokens,
        "letters": letters,
        "outside_vocabulary": sum(letters.values()) - sum(letters.get(letter, 0) for letter in _VOCABULARY),
        "segments": {name: of.height for name, of in by_split.items()},
        "bases": counts.bases,
        "masked_share": counts.masked / max(1, counts.bases),
        "unknown_bases": counts.unknown,
        "short_pieces": counts.short_pieces,
        "short_bases": counts.short_bases,
        "tokens_without_weight": store.card.ignored,
    }


def _letter(token: int) -> str:
    return _END if token == END_ID else chr(token)
