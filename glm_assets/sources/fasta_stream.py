"""What a FASTA holds, learned while its bytes stream by: contigs, their lengths and a checksum of the sequence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from glm_assets.errors import FormatError

_LETTERS = bytes(range(ord("A"), ord("Z") + 1)) + bytes(range(ord("a"), ord("z") + 1)) + b"*-"


def split_contigs(block: bytes, *, in_line: bool = False) -> Iterator[tuple[bytes | None, bytes]]:
    """Divide a piece of a FASTA at its headers, none of which is cut.

    Args:
        block: The piece.
        in_line: Whether it begins within a line.

    Yields:
        Headers without `>`, each with the lines of sequence that follow it; first None with what is before them.
    """
    # `>` means a new contig only at a line's start; the added line feed gives the first line one too.
    sequence, *contigs = (block if in_line else b"\n" + block).split(b"\n>")
    yield None, sequence
    for contig in contigs:
        header, _, sequence = contig.partition(b"\n")
        yield header, sequence


def contig_name(header: bytes) -> str | None:
    """The name in a header, which goes to the first white space; None if there is none."""
    words = header.decode("utf-8", errors="replace").split(maxsplit=1)
    return words[0] if words and not header[:1].isspace() else None


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
        for header, sequence in split_contigs(block):
            if header is not None:
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
        name = contig_name(header)
        if name is None:
            raise self._fault(f"the contig after {self._contig} has no name")
        if name in self.lengths:
            raise self._fault(f"contig {name} occurs twice")
        self._contig = name
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
