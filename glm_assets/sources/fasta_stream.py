"""What a FASTA holds, learned while its bytes stream by: contigs, their lengths and a checksum of the sequence."""

from __future__ import annotations

import hashlib

from glm_assets.errors import FormatError

_LETTERS = bytes(range(ord("A"), ord("Z") + 1)) + bytes(range(ord("a"), ord("z") + 1)) + b"*-"


class SequenceScan:
    """Feeds on a FASTA's bytes in blocks of whole lines.

    The checksum is the SHA-256 of `>name`, a line feed, the upper-case sequence and a line feed for each contig in
    turn. The contigs' order enters it; line width, case (repeat masking) and descriptions do not.

    Args:
        name: File name for messages.
    """

    def __init__(self, name: str) -> None:
        self.lengths: dict[str, int] = {}
        """Contig name to length in bases, in file order."""
        self._file = name
        self._contig: str | None = None
        self._digest = hashlib.sha256()

    @property
    def bases(self) -> int:
        """Bases so far."""
        return sum(self.lengths.values())

    def feed(self, block: bytes) -> None:
        """Take the next whole lines.

        Raises:
            FormatError: They are no FASTA.
        """
        # `>` means a new contig only at a line's start; the added line feed gives the first line one too.
        sequence, *contigs = (b"\n" + block).split(b"\n>")
        self._add_sequence(sequence)
        for contig in contigs:
            header, _, sequence = contig.partition(b"\n")
            self._begin(header)
            self._add_sequence(sequence)

    def finish(self) -> str:
        """The checksum as 64 hex digits.

        Raises:
            FormatError: There was no contig, or the last one is empty.
        """
        self._end()
        if not self.lengths:
            raise self._fault("it holds no contig")
        return self._digest.hexdigest()

    def _begin(self, header: bytes) -> None:
        self._end()
        words = header.decode("utf-8", errors="replace").split(maxsplit=1)
        if not words or header[:1].isspace():
            raise self._fault(f"the contig after {self._contig} has no name")
        if words[0] in self.lengths:
            raise self._fault(f"contig {words[0]} occurs twice")
        self._contig = words[0]
        self.lengths[self._contig] = 0
        self._digest.update(b">" + self._contig.encode() + b"\n")

    def _add_sequence(self, lines: bytes) -> None:
        sequence = lines.translate(None, b"\r\n")
        if not sequence:
            return
        if self._contig is None:
            raise self._fault(f"it begins with {sequence[:20]!r}")
        if strange := sequence.translate(None, _LETTERS):
            raise self._fault(f"contig {self._contig} holds {strange[:1]!r}")
        self.lengths[self._contig] += len(sequence)
        self._digest.update(sequence.upper())

    def _end(self) -> None:
        if self._contig is None:
            return
        if not self.lengths[self._contig]:
            raise self._fault(f"contig {self._contig} is empty")
        self._digest.update(b"\n")

    def _fault(self, problem: str) -> FormatError:
        return FormatError(
            f"{self._file} is no usable FASTA: {problem}",
            expected="'>name' lines, each followed by lines of letters",
            fix="take the file as NCBI publishes it",
        )
