"""Random access to an indexed reference genome, one whole contig at a time. Making the index is not done here."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import ReferenceMismatchError
from glm_assets.genome.alphabet import upper
from glm_assets.genome.contigs import ContigMap
from glm_assets.genome.indexed_fasta import IndexedFasta

_FIX: Final = (
    "remove the file and materialise reference_genome again"
    " (dagster asset materialize -m glm_assets.definitions --select reference_genome)"
)


class ReferenceGenome:
    """A BGZF-compressed FASTA with its `.fai` and `.gzi` beside it.

    The last contig read is kept, because windows are cut chromosome by chromosome; it does not travel between
    processes.

    Args:
        path: The FASTA.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = IndexedFasta(path, fix=_FIX)
        self._cached: tuple[str, NDArray[np.uint8]] | None = None

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "_file": self._file, "_cached": None}

    @property
    def names(self) -> tuple[str, ...]:
        """The FASTA's own contig names, in file order."""
        return self._file.names

    @property
    def lengths(self) -> tuple[int, ...]:
        """Contig lengths in bases, in the order of `names`."""
        return tuple(self._file.lengths.values())

    def fasta_name(self, chrom: str) -> str:
        """The FASTA's name for a chromosome.

        Args:
            chrom: A chromosome key or any other name that the contig map knows.

        Raises:
            ReferenceMismatchError: The FASTA has no such contig.
        """
        name = self._map.resolve(chrom)
        if name not in self._map.aliases:
            held = ", ".join(self._map.chromosomes()) or ", ".join(self.names[:5])
            raise ReferenceMismatchError(
                f"chromosome {chrom} is not in the reference {self.path.name}",
                expected=f"one of those that it holds: {held}",
                fix="use a reference that holds the chromosome, or leave the chromosome out",
            )
        return name

    def has(self, chrom: str) -> bool:
        """Whether the FASTA holds a chromosome."""
        return self._map.resolve(chrom) in self._map.aliases

    def sequence(self, chrom: str) -> NDArray[np.uint8]:
        """The whole sequence of a chromosome.

        Args:
            chrom: As for `fasta_name`.

        Returns:
            Upper-case ASCII, shape (contig length,), read-only; index 0 is the contig's first base.

        Raises:
            ReferenceMismatchError: The FASTA has no such contig.
            IntegrityError: The file is damaged.
        """
        name = self.fasta_name(chrom)
        if self._cached is None or self._cached[0] != name:
            self._cached = None  # frees the last contig before the next one is read
            self._cached = (name, self._read(name))
        return self._cached[1]

    def _read(self, name: str) -> NDArray[np.uint8]:
        sequence = upper(self._file.fetch(name))
        sequence.setflags(write=False)
        return sequence

    @cached_property
    def _map(self) -> ContigMap:
        return ContigMap.from_fasta(self.names, self.lengths)
