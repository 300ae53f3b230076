"""Counts of k-mers of many sequences: one row a sequence, one column a k-mer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import SettingsError
from glm_assets.genome.alphabet import UNKNOWN_ID, encode_ids, upper
from glm_assets.genome.batches import batches_of_letters

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MAX_K: Final = 12
"""4^12 columns are the most whose table of columns is kept in memory (64 MiB)."""

_BLOCK_BASES: Final = 1 << 22
_SEPARATOR: Final = b"-"
_URACIL, _THYMINE = ord("U"), ord("T")


def kmer_names(k: int, *, canonical: bool = True) -> list[str]:
    """The k-mer of each column, in alphabetical order.

    Args:
        k: Bases of a k-mer, 1 to `MAX_K`.
        canonical: Whether a k-mer and its reverse complement are one column, named by the first of the two.
    """
    codes = np.arange(4**k, dtype=np.int64)
    if canonical:
        codes = codes[codes <= reverse_complements(k)]
    letters = np.frombuffer(b"ACGT", np.uint8)
    digits = codes[:, None] >> 2 * np.arange(k - 1, -1, -1) & 3
    return [row.tobytes().decode("ascii") for row in letters[digits]]


def kmer_counts(sequences: Sequence[str], k: int = 6, *, canonical: bool = True) -> csr_array:
    """Count the k-mers of each sequence at every offset.

    Lower case and U (RNA) count as the bases they stand for; a k-mer with any other symbol is passed over. Beside the
    counts, no more is held than the k-mers of a few million bases.

    Args:
        sequences: n sequences of any lengths; one shorter than k has no k-mers.
        k: Bases of a k-mer, 1 to `MAX_K`.
        canonical: Whether a k-mer and its reverse complement are one column, so that a read and the other strand's
            count the same.

    Returns:
        (n, columns) float32 counts, the columns those of `kmer_names`: 4^k, or 2,080 canonical ones for k = 6.

    Raises:
        SettingsError: k is out of range.
    """
    from scipy.sparse import csr_array, vstack

    columns = _columns(k, canonical)
    width = int(columns.max()) + 1
    blocks = [_count_block(block, k, columns, width) for block in batches_of_letters(sequences, _BLOCK_BASES)]
    return csr_array(vstack(blocks, format="csr")) if blocks else csr_array((0, width), dtype=np.float32)


def kmer_frequencies(counts: csr_array) -> csr_array:
    """Share of each k-mer among a sequence's k-mers; a sequence without any keeps its row of noughts.

    Args:
        counts: (n, columns) as `kmer_counts` gives them.
    """
    from scipy.sparse import csr_array

    total = np.asarray(counts.sum(axis=1)).ravel()
    scaled = counts.data / np.repeat(total, np.diff(counts.indptr))
    return csr_array((scaled, counts.indices, counts.indptr), shape=counts.shape)


def _count_block(sequences: Sequence[str], k: int, columns: NDArray[np.int32], width: int) -> csr_array:
    """Counts of a few sequences, laid end to end with a separator that no k-mer spans."""
    from scipy.sparse import coo_array, csr_array

    texts = [sequence.encode("ascii", "replace") + _SEPARATOR for sequence in sequences]
    row = np.repeat(np.arange(len(texts), dtype=np.int32), [len(text) for text in texts])
    bases = upper(np.frombuffer(b"".join(texts), np.uint8))
    bases[bases == _URACIL] = _THYMINE
    ids = encode_ids(bases)
    places = _known_places(ids, k)
    codes = np.zeros(len(places), dtype=np.int32)
    for offset in range(k):
        codes = codes << 2 | ids[places + offset]
    ones = np.ones(len(places), dtype=np.float32)
    counted = coo_array((ones, (row[places], columns[codes])), shape=(len(texts), width))
    return csr_array(counted.tocsr())


def _known_places(ids: NDArray[np.uint8], k: int) -> NDArray[np.int64]:
    """Where k known bases in a row begin."""
    unknown = np.concatenate([[0], np.cumsum(ids == UNKNOWN_ID, dtype=np.int64)])
    return np.flatnonzero(unknown[k:] == unknown[:-k])


@lru_cache(maxsize=4)
def _columns(k: int, canonical: bool) -> NDArray[np.int32]:
    """(4^k,) column of each k-mer, two bits a base."""
    if not 1 <= k <= MAX_K:
        raise SettingsError(f"k-mers of {k} bases", expected=f"1 to {MAX_K}")
    codes = np.arange(4**k, dtype=np.int64)
    if not canonical:
        return codes.astype(np.int32)
    other = reverse_complements(k)
    rank = np.cumsum(codes <= other, dtype=np.int32) - 1
    return rank[np.minimum(codes, other)]


def reverse_complements(k: int) -> NDArray[np.int64]:
    """(4^k,) the reverse complement of each k-mer: its digits turned round, each from 3."""
    codes = np.arange(4**k, dtype=np.int64)
    turned = np.zeros_like(codes)
    for _ in range(k):
        turned = turned << 2 | 3 - (codes & 3)
        codes >>= 2
    return turned
