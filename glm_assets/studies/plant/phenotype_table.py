"""A table of samples with a phenotype and the sequences of their genes, a column a gene, read a row at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.encoders.tokenizers.kmer import encode_kmers
from glm_assets.errors import FormatError, SettingsError
from glm_assets.sources.delimited import read_column_names, read_delimited
from glm_assets.studies.plant.configuration import PhenotypeSettings

MISSING: Final = frozenset({"", "na", "nan", "n/a", "null", "none", "-", "."})
"""What people write, in any case, where there is no phenotype or sequence."""

_SHOWN = 5


@dataclass(frozen=True)
class Segment:
    """What is read of a gene.

    Attributes:
        tokens: (segment_tokens,) ids of k-mers; a shorter gene's again and again. None of a gene without any.
        repeated: Whether the gene is shorter.
        unknown: Its k-mers with another letter than A, C, G and T, which are left out.
    """

    tokens: NDArray[np.uint16] | None
    repeated: bool
    unknown: int


@dataclass(frozen=True)
class SamplePhenotype:
    """A sample.

    Attributes:
        line: Of the table, from 1.
        name: The sample's.
        phenotype: Verbatim; None where it is missing.
        sequences: Of each gene; empty where it is missing.
    """

    line: int
    name: str
    phenotype: str | None
    sequences: tuple[str, ...]


def gene_columns(path: Path, settings: PhenotypeSettings) -> tuple[str, ...]:
    """The columns with sequences, in the order of the table.

    Raises:
        FormatError: The table lacks the column of the sample or of the phenotype, or has no gene.
        SettingsError: `phenotypes.genes` is no regular expression.
    """
    try:
        pattern = re.compile(settings.genes)
    except re.error as error:
        raise SettingsError(
            f"phenotypes.genes {settings.genes!r} is no regular expression ({error})", expected="such as ^geneType"
        ) from error
    own = (settings.sample, settings.phenotype)
    names = read_column_names(path, own)
    taken = {name.lower() for name in own}
    genes = tuple(name for name in names if pattern.search(name) and name.lower() not in taken)
    if not genes:
        raise FormatError(
            f"{path.name} has no column with sequences: its columns are {', '.join(names[:_SHOWN])}",
            expected=f"names that {settings.genes!r} finds",
            fix="set phenotypes.genes",
        )
    return genes[: settings.max_genes]


def read_samples(
    path: Path, settings: PhenotypeSettings, genes: tuple[str, ...] = ()
) -> Iterator[SamplePhenotype]:
    """Read the samples in the order of the table.

    Args:
        path: The table.
        settings: Names of its columns.
        genes: Columns whose sequences are read.

    Raises:
        FormatError: A column is lacking, a sample has no name or is there twice.
    """
    lines: dict[str, int] = {}
    for line, (name, phenotype, *sequences) in read_delimited(path, (settings.sample, settings.phenotype, *genes)):
        if not name:
            raise FormatError(f"{path.name}, line {line}: {settings.sample} is empty", expected="a sample's name")
        if name in lines:
            raise FormatError(
                f"{path.name}, line {line}: the sample {name} is on line {lines[name]} too",
                expected="each sample once",
                fix="remove one of the two rows",
            )
        lines[name] = line
        known = phenotype if phenotype.lower() not in MISSING else None
        yield SamplePhenotype(line, name, known, tuple(_present(sequence) for sequence in sequences))


def cut_segment(sequence: str, k: int, tokens: int) -> Segment:
    """The first k-mers of a gene, one after the other from its first base.

    Args:
        sequence: Bases in any case; empty where the gene is missing.
        k: Bases of a k-mer.
        tokens: K-mers to read.
    """
    codes, known = encode_kmers(np.frombuffer(sequence.encode("ascii", "replace"), np.uint8), k)
    unknown = int((~known).sum())
    codes = codes[known][:tokens]
    return Segment(np.resize(codes, tokens) if len(codes) else None, 0 < len(codes) < tokens, unknown)


def _present(sequence: str) -> str:
    return "" if sequence.lower() in MISSING else sequence
