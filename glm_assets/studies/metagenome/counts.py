"""What reading labelled reads found: how many were kept, how many dropped and why, and what was changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

REASONS: Final = ("bad_header", "unknown_class", "no_bases", "ambiguous", "too_short", "too_many_n")
"""Why a read is dropped; the first that holds counts. `no_bases`: characters that stand for no base."""

_SHOWN = 5


@dataclass
class ReadCounts:
    """Counts over all files.

    Attributes:
        reads: Records of the files.
        kept: Reads that are kept.
        dropped: Reads by reason, one of `REASONS`.
        bad_headers: The first headers that do not follow the grammar, with their file.
        unknown_classes: Reads by class id that the mapping lacks.
        per_label: Kept reads by label; every label of the mapping is there.
        per_file: Kept reads by file.
        declared_lengths: Kept reads whose header declares a length.
        wrong_lengths: Those whose sequence has another.
        wrong_tax_ids: Kept reads whose tax id is another than the mapping's for their class.
        unmatched_names: Kept reads whose name does not tell the genome: the name itself stands for it.
        lower: Kept reads with lower case.
        uracil: Kept reads with U.
        iupac: Kept reads with IUPAC codes that became N.
        bases: Bases of the kept reads.
        unknown_bases: Those that are N.
    """

    reads: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    bad_headers: list[str] = field(default_factory=list)
    unknown_classes: Counter[int] = field(default_factory=Counter)
    per_label: Counter[str] = field(default_factory=Counter)
    per_file: Counter[str] = field(default_factory=Counter)
    declared_lengths: int = 0
    wrong_lengths: int = 0
    wrong_tax_ids: int = 0
    unmatched_names: int = 0
    lower: int = 0
    uracil: int = 0
    iupac: int = 0
    bases: int = 0
    unknown_bases: int = 0

    def note_bad_headers(self, file: str, headers: list[str]) -> None:
        """Remember a few headers that do not follow the grammar."""
        free = _SHOWN - len(self.bad_headers)
        self.bad_headers += [f"{file}: {header[:100]}" for header in headers[:free]]

    def metadata(self) -> dict[str, Any]:
        """The counts as JSON can hold them; class ids are strings, the most frequent first."""
        return {
            "reads": self.reads,
            "kept": self.kept,
            "dropped": {reason: self.dropped[reason] for reason in REASONS},
            "bad_headers": list(self.bad_headers),
            "unknown_classes": {str(number): count for number, count in self.unknown_classes.most_common()},
            "per_label": dict(self.per_label),
            "per_file": dict(self.per_file),
            "declared_lengths": self.declared_lengths,
            "wrong_lengths": self.wrong_lengths,
            "wrong_tax_ids": self.wrong_tax_ids,
            "unmatched_names": self.unmatched_names,
            "lower": self.lower,
            "uracil": self.uracil,
            "iupac": self.iupac,
            "bases": self.bases,
            "unknown_bases": self.unknown_bases,
        }
