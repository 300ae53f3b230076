"""DNA as bytes: upper case, integer ids and the reverse complement, each one table lookup.

Arrays are uint8 ASCII of any shape. Strings, files and contig names are handled elsewhere.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

N: Final = ord("N")
"""ASCII code of the unknown base."""

UNKNOWN_ID: Final = 4
"""Id of every symbol other than A, C, G and T."""


def _table(default: NDArray[np.uint8], symbols: bytes, values: bytes) -> bytes:
    table = default.copy()
    table[np.frombuffer(symbols, np.uint8)] = np.frombuffer(values, np.uint8)
    return table.tobytes()


def _looked_up(sequence: NDArray[np.uint8], table: bytes) -> NDArray[np.uint8]:
    """Python translates bytes in a tenth of the time of numpy's indexing."""
    return np.frombuffer(bytearray(sequence.tobytes()).translate(table), np.uint8).reshape(sequence.shape)


_IDENTITY = np.arange(256, dtype=np.uint8)
_UPPER = _table(_IDENTITY, b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_COMPLEMENT = _table(_IDENTITY, b"ACGTRYKMBVDHacgtrykmbvdh", b"TGCAYRMKVBHDtgcayrmkvbhd")
_IDS = _table(np.full(256, UNKNOWN_ID, np.uint8), b"ACGT", bytes(range(4)))


def upper(sequence: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a copy with the letters a-z in upper case (NCBI's FASTA marks repeats in lower case)."""
    return _looked_up(sequence, _UPPER)


def encode_ids(sequence: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the ids A 0, C 1, G 2, T 3, and 4 for everything else: N, IUPAC codes and lower case too."""
    return _looked_up(sequence, _IDS)


def reverse_complement(sequence: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the other strand, read 5' to 3': complemented and reversed along the last axis.

    IUPAC codes are complemented too, case is kept, and other symbols (N, gaps) stay as they are.
    """
    return np.ascontiguousarray(_looked_up(sequence, _COMPLEMENT)[..., ::-1])
