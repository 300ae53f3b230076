"""A variety for NVIDIA's BioNeMo, which trains Evo2 at a scale that this package does not: its files and commands.

The split is ours: each side is a FASTA and a dataset of its own, so that BioNeMo draws no sequences at random.
"""

from __future__ import annotations

import shutil
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from glm_assets.errors import FormatError, SettingsError
from glm_assets.genome.indexed_fasta import IndexedFasta
from glm_assets.genome.splits import SPLITS
from glm_assets.language.token_store import Segment
from glm_assets.sources.genome_files import FASTA
from glm_assets.sources.progress import Progress
from glm_assets.studies.sugarcane.bionemo_commands import commands_text
from glm_assets.studies.sugarcane.bionemo_configuration import (
    BLEND,
    COMMANDS,
    PREPROCESSING,
    UNITS,
    blend_text,
    preprocessing_text,
    split_fasta,
)
from glm_assets.studies.sugarcane.byte_tokens import ByteCutter
from glm_assets.studies.sugarcane.study import VARIABLE, SugarcaneStudy
from glm_assets.studies.sugarcane.token_shards import stretches
from glm_assets.studies.sugarcane.unit_sequences import UnitSequences, choose_evenly, read_units

_WORD = r"^\S+$"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: Where.
        records: Sequences of each split.
        bases: Their bases.
        units: That are to be scored.
    """

    folder: Path
    records: Counter[str]
    bases: Counter[str]
    units: int


def export_bionemo(study: SugarcaneStudy, variety: str, folder: Path, progress: Progress) -> Exported:
    """Write what BioNeMo needs to train on a variety and to score its units; all of it or nothing.

    Args:
        study: The study.
        variety: Name of the variety, whose units are up to date.
        folder: It does not exist yet, or is empty.
        progress: Called with a line now and then.

    Raises:
        SettingsError: The folder holds something, BioNeMo has no such model, or a split has no sequence.
        FormatError: A unit's id is no single word, which a FASTA cannot hold.
        MissingUpstreamError: The units are absent or out of date.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError(
            f"{folder} is there already", expected="a folder that is new or empty", fix="name another"
        )
    script = commands_text(study.values, variety)
    study.main.require(study.units(variety))
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = folder.with_name(f".{uuid.uuid4().hex}.{folder.name}")
    work.mkdir()
    try:
        records, bases = _write_splits(study, variety, work, progress)
        units = _write_units(study, variety, work / UNITS)
        for name, text in (
            (PREPROCESSING, preprocessing_text(variety, study.values.shards)),
            (BLEND, blend_text(variety)),
            (COMMANDS, script),
        ):
            (work / name).write_text(text, encoding="utf-8")
        work.replace(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Exported(folder, records, bases, units)


def scored_units(study: SugarcaneStudy, variety: str) -> pl.DataFrame:
    """The units that `unit_scores` scores, which are those that BioNeMo is asked for."""
    settings = study.values.scoring
    of_splits = read_units(study, variety).filter(pl.col("split").is_in(settings.splits))
    return choose_evenly(of_splits, settings.max_units)


def _write_splits(
    study: SugarcaneStudy, variety: str, work: Path, progress: Progress
) -> tuple[Counter[str], Counter[str]]:
    """Write the stretches that are the tokens of `token_shards`, case kept; BioNeMo adds the other strand itself."""
    fasta = IndexedFasta(study.files("genome", variety) / FASTA)
    as_written = study.values.shards.model_copy(update={"soft_mask": "keep", "reverse_complement": "forward"})
    records, bases = Counter[str](), Counter[str]()
    streams = {split: (work / split_fasta(split)).open("wb") for split in SPLITS}
    try:
        for segment in ByteCutter(fasta, as_written).segments(stretches(study, variety, fasta), progress):
            bases[segment.split] += _write_record(streams[segment.split], records[segment.split], segment)
            records[segment.split] += 1
    finally:
        for stream in streams.values():
            stream.close()
    if empty := [split for split in SPLITS if not bases[split]]:
        raise SettingsError(
            f"variety {variety} has no sequence in {', '.join(empty)}",
            expected="some in each split",
            fix=f"change split or shards in the YAML file of {VARIABLE}",
        )
    return records, bases


def _write_record(stream: BinaryIO, number: int, segment: Segment) -> int:
    """Write a segment on one line, however long; returns its bases."""
    # Overlapping units may begin at one place, and an index of a FASTA knows each name once.
    stream.write(f">{number}:{segment.contig}:{segment.start}:{segment.strand}\n".encode())
    bases = 0
    for ids, _ in segment.chunks:
        stream.write(ids.astype(np.uint8).tobytes())
        bases += len(ids)
    stream.write(b"\n")
    return bases


def _write_units(study: SugarcaneStudy, variety: str, path: Path) -> int:
    units = scored_units(study, variety)
    if spaced := units.filter(~pl.col("unit_id").str.contains(_WORD))["unit_id"].to_list():
        raise FormatError(
            f"the unit {spaced[0]!r} cannot be a name in a FASTA",
            expected="ids without spaces",
            fix="correct the IDs in the GFF3",
        )
    written = 0
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for name, sequence in _known(study, variety, units):
            stream.write(f">{name}\n{sequence}\n")
            written += 1
    return written


def _known(study: SugarcaneStudy, variety: str, units: pl.DataFrame) -> Iterator[tuple[str, str]]:
    """Names and bases of the units that have any within their contig."""
    sequences = UnitSequences(study, variety).each(units)
    return ((name, bases) for name, bases in zip(units["unit_id"], sequences, strict=True) if bases)
