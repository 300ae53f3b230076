"""Genomes of test size, for the studies that read any."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from glm_assets.sources.genome_files import index_genome

LETTERS = list("ACGTacgt")


def random_sequence(seed: int, length: int, holes: tuple[tuple[int, str], ...] = ()) -> str:
    """Random bases of both cases; other letters written over them at some places."""
    letters = np.random.default_rng(seed).choice(LETTERS, length)
    for place, text in holes:
        letters[place : place + len(text)] = list(text)
    return "".join(letters)


def write_fasta(path: Path, records: dict[str, str]) -> Path:
    """A FASTA, gzipped if its name says so."""
    content = "".join(f">{name} described\n{text}\n" for name, text in records.items()).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def indexed(folder: Path, files: dict[str, dict[str, str]]) -> Path:
    """The folder of a genome product, of FASTA files by name."""
    sources, made = folder / "files", folder / "genome"
    for each in (sources, made):
        each.mkdir(parents=True)
    index_genome([write_fasta(sources / name, records) for name, records in files.items()], made)
    return made


def other_strand(text: str) -> str:
    """The reverse complement."""
    return text[::-1].translate(str.maketrans("ACGTacgt", "TGCAtgca"))
