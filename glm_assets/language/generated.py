"""Sequences that were drawn, for people: their composition, and FASTA."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from glm_assets.genome.alphabet import UNKNOWN_ID, encode_ids

if TYPE_CHECKING:
    from glm_assets.language.generation import Generated

_LINE: Final = 80


def gc_share(sequence: str) -> float | None:
    """Share of G and C among the bases A, C, G and T of a sequence; None without any."""
    counts = np.bincount(
        encode_ids(np.frombuffer(sequence.upper().encode("ascii"), np.uint8)), minlength=UNKNOWN_ID
    )
    bases = int(counts[:UNKNOWN_ID].sum())
    return float(counts[1] + counts[2]) / bases if bases else None


def drawn_columns(drawn: Generated) -> dict[str, str | float | int | None]:
    """`sequence`, `gc`, `length` in letters and `logprob_mean` of a row of a table."""
    return {
        "sequence": drawn.sequence,
        "gc": gc_share(drawn.sequence),
        "length": len(drawn.sequence),
        "logprob_mean": drawn.logprob_mean,
    }


def write_fasta(path: Path, records: Iterable[tuple[str, str]]) -> None:
    """Write named sequences in lines of 80 letters.

    Args:
        path: File to write; the caller publishes it.
        records: Headers and sequences. What is no letter, such as a byte that ends a document, becomes N.
    """
    with path.open("w", encoding="ascii", newline="\n") as stream:
        for header, sequence in records:
            letters = "".join(letter if letter.isascii() and letter.isalpha() else "N" for letter in sequence)
            stream.write(f">{_one_line(header)}\n")
            stream.writelines(f"{letters[at : at + _LINE]}\n" for at in range(0, len(letters), _LINE))


def _one_line(header: str) -> str:
    return " ".join(header.encode("ascii", "replace").decode("ascii").split())
