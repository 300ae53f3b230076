"""Random access to any genome: stretches of the contigs of an indexed FASTA, as the file has them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import IntegrityError, MissingUpstreamError, ReferenceMismatchError

if TYPE_CHECKING:
    import pysam

_SHOWN = 5


class IndexedFasta:
    """A BGZF-compressed FASTA with its `.fai` and `.gzi` beside it.

    The file is opened on first use and never travels between processes: a pickled one opens it again.

    Args:
        path: The FASTA.
        fix: What to do if it is absent or damaged, for messages.
    """

    def __init__(self, path: Path, *, fix: str = "materialise the genome's asset again") -> None:
        self.path = path
        self._fix = fix

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "_fix": self._fix}

    @property
    def names(self) -> tuple[str, ...]:
        """The contigs' names, in file order."""
        return tuple(self.lengths)

    @cached_property
    def lengths(self) -> dict[str, int]:
        """Name of each contig to its length in bases, in file order."""
        return dict(zip(self._file.references, self._file.lengths, strict=True))

    def fetch(self, contig: str, start: int = 0, end: int | None = None) -> NDArray[np.uint8]:
        """The bases of a stretch.

        Args:
            contig: One of `names`.
            start: 0-based first base.
            end: 0-based base after the last; the contig's end by default.

        Returns:
            ASCII as in the file, lower case and IUPAC codes too, shape (end - start,), read-only.

        Raises:
            ReferenceMismatchError: There is no such contig, or it has no such stretch.
            IntegrityError: The file is damaged.
        """
        length = self._length(contig)
        end = length if end is None else end
        if not 0 <= start <= end <= length:
            raise ReferenceMismatchError(
                f"{self.path.name}: contig {contig} has no bases {start:,} to {end:,}",
                expected=f"0 <= start <= end <= {length:,}, 0-based and half-open",
            )
        try:
            text = self._file.fetch(contig, start, end) if end > start else ""
        except (OSError, ValueError) as error:
            raise self._damaged(f"at contig {contig} ({error})") from error
        if len(text) != end - start:
            raise self._damaged(f"at contig {contig} (it ends early)")
        return np.frombuffer(text.encode("ascii"), dtype=np.uint8)

    def _length(self, contig: str) -> int:
        if contig in self.lengths:
            return self.lengths[contig]
        shown = ", ".join(self.names[:_SHOWN]) + (", .." if len(self.names) > _SHOWN else "")
        raise ReferenceMismatchError(
            f"contig {contig} is not in {self.path.name}", expected=f"one of its {len(self.names)}: {shown}"
        )

    @cached_property
    def _file(self) -> pysam.FastaFile:
        import pysam

        for path in (self.path, Path(f"{self.path}.fai"), Path(f"{self.path}.gzi")):
            if not path.is_file():
                raise MissingUpstreamError(
                    f"the genome file {path} is absent",
                    expected="a BGZF FASTA with its .fai and .gzi",
                    fix=self._fix,
                )
        try:
            file = pysam.FastaFile(str(self.path))
        except OSError as error:
            raise self._damaged("with its indexes") from error
        if not file.nreferences:
            raise self._damaged("with its indexes (there is no contig in them)")
        return file

    def _damaged(self, where: str) -> IntegrityError:
        return IntegrityError(
            f"{self.path} cannot be read {where}",
            expected="an undamaged BGZF file that matches its .fai and .gzi",
            fix=self._fix,
        )
