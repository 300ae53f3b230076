"""Small files of labelled reads, like the examples of the grammar."""

from __future__ import annotations

import random
from pathlib import Path

from glm_assets.studies.metagenome.configuration import ReadsSettings, SplitSettings
from glm_assets.studies.metagenome.label_map import LabelMap, read_label_map

MAPPING = "class_id\tlabel_name\n300\tSpeciesC\n100\tSpeciesA\n200\tSpeciesB\n"
GENOME = "^(.+)_[0-9]+_[fr]$"


def sequence(seed: object, length: int) -> str:
    return "".join(random.Random(str(seed)).choices("ACGT", k=length))


def example_reads() -> list[tuple[str, str]]:
    """9 reads to train with, of which 7 declare a wrong length, and 3 others: 12 headers and sequences."""
    reads = []
    for number in range(12):
        length = 60 + number
        declared = length if number in (0, 5) or number >= 9 else 150
        class_id = 100 * (number % 3 + 1)
        reads.append(
            (f"lbl|{class_id}|{class_id + 7}|{declared}|g{number // 3}_{number}_f/1", sequence(number, length))
        )
    return reads


def fasta(reads: list[tuple[str, str]]) -> bytes:
    return "".join(f">{header}\n{bases[:40]}\n{bases[40:]}\n" for header, bases in reads).encode()


def fastq(reads: list[tuple[str, str]]) -> bytes:
    return "".join(f"@{header}\n{bases}\n+\n{'I' * len(bases)}\n" for header, bases in reads).encode()


def settings(**changes: object) -> ReadsSettings:
    values = {
        "files": (),
        "mapping": None,
        "unknown_class": "drop",
        "bad_header": "drop",
        "genome": GENOME,
        "ambiguous": "n",
        "max_n_share": 0.5,
        "min_length": 1,
    }
    return ReadsSettings.model_validate(values | changes)


def split_settings(val: int = 20, test: int = 20) -> SplitSettings:
    return SplitSettings(val=val, test=test, leak_kmer=31, max_leak=0.0)


def example_labels(folder: Path) -> LabelMap:
    path = folder / "mapping.tsv"
    path.write_text(MAPPING)
    return read_label_map(path)
